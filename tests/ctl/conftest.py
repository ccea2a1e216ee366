"""A place of its own for each test."""

import os
from pathlib import Path

import pytest

from ctl.commands import Place
from engine.conftest import postgres, postgres_server, where

__all__ = ["place", "postgres", "postgres_server", "where"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    for variable in os.environ:
        if variable == "DATABASE_URL" or variable.startswith("CLOACINA_"):
            monkeypatch.delenv(variable)
    return Place(tmp_path)
