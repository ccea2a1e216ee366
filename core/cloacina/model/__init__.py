"""Values and rules: what states exist, which moves are legal, how contexts merge, when a rule holds.

Pure: no clock, randomness, operating system or database. Time and randomness come in as arguments.
"""
