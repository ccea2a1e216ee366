"""The README's snippets, run as they are printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    return [text for found, text in fenced if found == language]


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """An environment in which the commands are at hand and nothing outside is touched."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple")
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "CLOACINA_HOME": str(tmp_path / "home"),
        "CLOACINA_PASSPHRASE_FILE": str(passphrase),
    }


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_smallest_embedded_workflow(tmp_path: Path, surroundings: dict[str, str]) -> None:
    (snippet,) = blocks("python")
    (tmp_path / "work").mkdir()
    script = tmp_path / "work" / "greeting.py"
    script.write_text(snippet)
    for _ in range(2):
        output = run([sys.executable, "-W", "error", str(script)], script.parent, surroundings)
        assert output == "hello world\n"
    assert sorted(path.name for path in script.parent.iterdir()) == ["greeting.db", "greeting.py"]


def test_the_smallest_package(tmp_path: Path, surroundings: dict[str, str]) -> None:
    make, package, trust = blocks("")
    assert make.startswith("make demo")
    work = tmp_path / "work"
    work.mkdir()
    output = run(["bash", "-euxc", package + trust], work, surroundings)
    assert output.count("Completed") >= 2
