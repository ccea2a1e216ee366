"""How runners on one machine know of each other: a lock that says alive, a bell that wakes."""
