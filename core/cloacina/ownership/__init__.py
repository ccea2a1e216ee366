"""How runners on one database know of each other, and who plans which execution."""
