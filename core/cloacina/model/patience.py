"""How long to wait before something that failed is tried again: longer each time, up to a limit."""


class Patience:
    """Pauses that double. The first after ``reset`` is the shortest again."""

    def __init__(self, first_s: float = 0.05, longest_s: float = 5.0) -> None:
        """Begin with ``first_s``, and end at ``longest_s``."""
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    @property
    def next_s(self) -> float:
        """How long the next pause is."""
        return self._next_s

    def take(self) -> float:
        """Return how long to pause now; the next pause is longer."""
        pause_s = self._next_s
        self._next_s = min(2 * pause_s, self._longest_s)
        return pause_s

    def reset(self) -> None:
        """Note that it succeeded."""
        self._next_s = self._first_s
