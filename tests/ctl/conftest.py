"""A place of its own for each test."""

from pathlib import Path

import pytest

from ctl.commands import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLOACINA_HOME", raising=False)
    monkeypatch.delenv("CLOACINA_PASSPHRASE_FILE", raising=False)
    return Place(tmp_path)
