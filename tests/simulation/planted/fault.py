"""What a planted fault is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import pytest

Patch: TypeAlias = pytest.MonkeyPatch


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault, and what the violation that it leads to says."""

    plant: Callable[[Patch], None]
    complaint: str
