"""Packages: verify the bytes, unpack what was verified, run it in workers. Nothing is imported here."""
