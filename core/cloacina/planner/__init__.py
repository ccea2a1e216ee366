"""Decide what happens next: events in, row changes and effects out.

Nothing here does I/O, reads a clock or draws randomness; those come in through ``Now`` and
``Sources``, so that a run can be replayed event by event.
"""
