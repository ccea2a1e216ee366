"""New projects."""

from pathlib import Path

import pytest

from cloacina_build.errors import InvalidNameError, OutputError
from cloacina_build.package import build_package
from cloacina_build.payload import unpack
from cloacina_build.scaffold import Kind, create_project
from cloacina_sdk.json_text import JsonValue

from .projects import run_workflow, wheel_in


@pytest.mark.parametrize(
    ("kind", "given", "key", "value"),
    [
        (Kind.PYTHON, {}, "greeting", "Hello, world!"),
        (Kind.PYTHON, {"name": "Ada"}, "greeting", "Hello, Ada!"),
        (Kind.CFFI, {}, "words", 5),
        (Kind.CFFI, {"text": " to be\tor \n"}, "words", 3),
    ],
)
def test_a_new_project_builds_and_runs(
    tmp_path: Path, kind: Kind, given: dict[str, JsonValue], key: str, value: JsonValue
) -> None:
    built = build_package(create_project("My-first.flow", kind, tmp_path))
    assert built.manifest.name == "My-first.flow"
    assert built.manifest.modules == ("my_first_flow",)
    (workflow,) = built.manifest.workflows
    assert (workflow.name, len(workflow.tasks)) == ("my_first_flow", 2)
    unpacked = tmp_path / "unpacked"
    unpack(wheel_in(built.raw).files, unpacked)
    assert run_workflow(built, unpacked, given)[key] == value


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "beginning with a letter"),
        ("1st", "beginning with a letter"),
        ("a/b", "beginning with a letter"),
        ("..", "beginning with a letter"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "beginning with a letter"),
        ("trailing-", "beginning with a letter"),
        ("json", "shadows the standard library"),
        ("Concurrent", "shadows the standard library"),
        ("class", "a word of the language"),
        ("cloacina-sdk", "shadows the host's runtime"),
        ("cffi", "hide one that the build needs"),
    ],
)
def test_a_name_that_no_module_can_have_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(InvalidNameError, match=reason):
        create_project(name, Kind.PYTHON, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_file", [True, False])
def test_what_exists_is_not_touched(tmp_path: Path, is_file: bool) -> None:
    if is_file:
        (tmp_path / "hello").write_text("mine")
    else:
        (tmp_path / "hello").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        create_project("hello", Kind.PYTHON, tmp_path)
    assert list(tmp_path.rglob("*")) == [tmp_path / "hello"]


def test_a_place_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        create_project("hello", Kind.PYTHON, tmp_path / "absent")
