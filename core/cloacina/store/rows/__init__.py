"""The rows that one commit writes, in the order of each statement's parameters."""
