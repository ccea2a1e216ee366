"""Faults to plant in the engine or in the model of the database, each to be found by some seed."""

from simulation.planted import commits, decisions, elements, offers, ownership, slots, waits, wishes
from simulation.planted.fault import Planted

__all__ = ["PLANTED", "Planted"]

PLANTED = {
    **commits.PLANTED,
    **decisions.PLANTED,
    **elements.PLANTED,
    **offers.PLANTED,
    **ownership.PLANTED,
    **slots.PLANTED,
    **waits.PLANTED,
    **wishes.PLANTED,
}
