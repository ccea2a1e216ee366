"""Decide what happens next: events in, row changes and effects out.

Nothing here does I/O, reads a clock or draws randomness; those come in through ``Now`` and
``Sources``, so that a run can be replayed event by event.

* ``planner`` takes an event, one step at a time; what each kind of event leads to is in
  ``arrival``, ``away``, ``asked``, ``deferral``, ``grant`` and ``wake``, and ``progress`` is what
  all of them end in.
* ``moves`` change one execution, and know of nothing else; what they change is in ``execution``,
  and what of it the store has yet to write in ``unsaved``.
* ``queue`` says who may run and when.
* ``explain`` says why something does not run.
"""
