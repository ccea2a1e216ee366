"""Interest in something that wears off by itself: whoever is gone need not take it back."""

import time


class Interest:
    """What we want of the others, and what they want of us. Safe to use from several threads."""

    def __init__(self, lasts_s: float) -> None:
        """Begin without any; each expression of interest counts for ``lasts_s``."""
        self._lasts_s = lasts_s
        self._wanted_until_s = self._asked_until_s = 0.0

    @property
    def is_wanted(self) -> bool:
        """Whether we wanted it lately."""
        return time.monotonic() < self._wanted_until_s

    @property
    def is_asked(self) -> bool:
        """Whether somebody asked us for it lately."""
        return time.monotonic() < self._asked_until_s

    def want(self) -> None:
        """Note that we want it."""
        self._wanted_until_s = time.monotonic() + self._lasts_s

    def ask(self) -> bool:
        """Note that somebody asks us for it; return whether nobody had lately."""
        was_asked = self.is_asked
        self._asked_until_s = time.monotonic() + self._lasts_s
        return not was_asked
