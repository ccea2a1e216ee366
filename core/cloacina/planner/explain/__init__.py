"""Say why a task or an execution is not running, from what is stored and what its runner knows.

Pure: whoever asks collects the facts. The first obstacle that is found is told, from what holds up
a whole execution to what holds up one task of it.
"""
