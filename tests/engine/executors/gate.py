"""Meet a body wherever it runs: know that it began, and let it go on."""

import os
import select
from pathlib import Path

DEADLINE_S = 60


class Gate:
    """Two pipes with names: one that bodies write to when they begin, one that lets them go on."""

    def __init__(self, folder: Path) -> None:
        self.began, self.release = folder / "began", folder / "release"
        os.mkfifo(self.began)
        os.mkfifo(self.release)
        self._began = os.open(self.began, os.O_RDWR | os.O_NONBLOCK)
        self._release = os.open(self.release, os.O_RDWR | os.O_NONBLOCK)

    @property
    def values(self) -> dict[str, str]:
        """What a body finds in its context."""
        return {"began": str(self.began), "release": str(self.release)}

    def await_begun(self, count: int = 1) -> None:
        for _ in range(count):
            ready, _, _ = select.select([self._began], [], [], DEADLINE_S)
            assert ready, "the body did not begin in time"
            assert os.read(self._began, 1) == b"x"

    def let_go(self, count: int = 1) -> None:
        os.write(self._release, b"." * count)

    def close(self) -> None:
        self.let_go(1000)  # whoever still waits
        os.close(self._began)
        os.close(self._release)
