"""What can be told from a project's pyproject.toml alone."""

from pathlib import Path

import pytest

from cloacina_build.errors import InvalidProjectError, MissingProjectError, MissingTableError
from cloacina_build.project import read_project

from .projects import PROJECT, TABLE, a_project


def problems_of(directory: Path) -> list[str]:
    with pytest.raises(InvalidProjectError) as caught:
        read_project(directory)
    return list(caught.value.problems)


def test_an_empty_table_is_filled_in_from_the_project(tmp_path: Path) -> None:
    project = read_project(a_project(tmp_path, table="[tool.cloacina]\n"))
    assert project.name == project.settings.package == "acme-greet"
    assert project.settings.modules == ("acme_greet",)
    assert (project.settings.release, project.settings.publisher) == (None, "local")
    assert (project.settings.isolation, project.settings.capabilities) == ("process", ())


def test_every_known_key_is_read(tmp_path: Path) -> None:
    table = (
        '[tool.cloacina]\npackage = "Other"\nmodules = ["acme_greet.tasks"]\nrelease = 7\n'
        'publisher = "Acme, Ltd"\nisolation = "hardened"\ncapabilities = ["net:acme.example"]\n'
    )
    settings = read_project(a_project(tmp_path, table=table)).settings
    assert (settings.package, settings.modules) == ("Other", ("acme_greet.tasks",))
    assert (settings.release, settings.publisher) == (7, "Acme, Ltd")
    assert (settings.isolation, settings.capabilities) == ("hardened", ("net:acme.example",))


def test_a_directory_without_a_project_is_refused(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "absent"):
        with pytest.raises(MissingProjectError, match=r"no pyproject\.toml"):
            read_project(directory)


def test_a_project_without_the_table_is_shown_the_lines_to_add(tmp_path: Path) -> None:
    with pytest.raises(MissingTableError, match=r"no table \[tool.cloacina\]") as caught:
        read_project(a_project(tmp_path, table=""))
    lines = [line.strip() for line in caught.value.next_step.splitlines()[-3:]]
    assert lines == ["[tool.cloacina]", 'modules = ["acme_greet"]', 'publisher = "your name"']
    assert read_project(a_project(tmp_path / "again", table="\n".join(lines))).settings.modules


def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    table = "[tool.cloacina]\nmodule = []\nfrobnicate = 1\n"
    near, far = problems_of(a_project(tmp_path, table=table))
    assert near == "tool.cloacina.module is not a known key; did you mean 'modules'?"
    assert far.startswith("tool.cloacina.frobnicate is not a known key; known are package,")


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    problems = problems_of(
        a_project(
            tmp_path,
            project='[project]\nname = "-acme-"\nversion = "one"\nrequires-python = ">=9"\n'
            'dependencies = ["requests", "cloacina-sdk>=99", "???"]\n',
            table='[tool.cloacina]\nrelease = true\nisolation = "none"\nmodules = "acme"\n',
        )
    )
    expected = [
        "project.name is '-acme-'",
        "project.version is 'one'",
        "it depends on 'requests', which no worker has",
        "it depends on 'cloacina-sdk>=99', and the host provides cloacina-sdk",
        "the dependency '???' cannot be read",
        "it requires Python >=9, and this is",
        "tool.cloacina.modules must be an array",
        "tool.cloacina.release must be an integer, not a boolean",
        "tool.cloacina.isolation must be one of process, inprocess, hardened",
    ]
    assert len(problems) == len(expected), problems
    for problem, beginning in zip(problems, expected, strict=True):
        assert problem.startswith(beginning)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('modules = ["json"]', "'json' shadows the standard library"),
        ('modules = ["cloacina_sdk.task"]', "'cloacina_sdk' shadows the host's runtime"),
        ('modules = ["1st"]', "tool.cloacina.modules[0] is '1st'"),
        ('modules = ["a", "a"]', "names 'a' more than once"),
        ("modules = []", "names no module"),
        ('package = "-"', "tool.cloacina.package must be a name"),
        ('publisher = ""', "tool.cloacina.publisher must be one line"),
        ("release = -1", "tool.cloacina.release must be 0 to 9007199254740991"),
        ("release = 9007199254740992", "tool.cloacina.release must be 0 to"),
        ('capabilities = ["No"]', "tool.cloacina.capabilities[0] is 'No'"),
    ],
)
def test_a_bad_value_is_named_by_its_key(tmp_path: Path, table: str, problem: str) -> None:
    (found,) = problems_of(a_project(tmp_path, table=f"[tool.cloacina]\n{table}\n"))
    assert problem in found


def test_what_only_an_extra_needs_is_no_dependency(tmp_path: Path) -> None:
    project = (
        f'{PROJECT}dependencies = ["cloacina-sdk", "cffi; python_version > \'3\'", "pycparser", '
        "'pytest; extra == \"test\"']\n"
    )
    assert read_project(a_project(tmp_path, project=project)).name == "acme-greet"


def test_a_dependency_on_another_system_is_one(tmp_path: Path) -> None:
    project = f"{PROJECT}dependencies = ['colorama; sys_platform == \"win32\"']\n"
    (problem,) = problems_of(a_project(tmp_path, project=project))
    assert "'colorama', which no worker has" in problem


def test_a_version_without_a_release_asks_for_one(tmp_path: Path) -> None:
    project = '[project]\nname = "acme-greet"\nversion = "20240131"\n'
    (problem,) = problems_of(a_project(tmp_path / "none", project=project))
    assert "release = N" in problem
    chosen = a_project(tmp_path / "chosen", project=project, table=f"{TABLE}release = 5\n")
    assert read_project(chosen).settings.release == 5


@pytest.mark.parametrize("text", ["[project", 'name = "\udcff"'])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    (problem,) = problems_of(tmp_path)
    assert problem.startswith("it cannot be read: ")


def test_a_file_without_the_project_table_is_refused(tmp_path: Path) -> None:
    (problem,) = problems_of(a_project(tmp_path, project=""))
    assert "no table [project]" in problem


def test_a_bad_name_is_told_once(tmp_path: Path) -> None:
    project = '[project]\nname = "-acme-"\nversion = "1.0"\n'
    (problem,) = problems_of(a_project(tmp_path, project=project, table="[tool.cloacina]\n"))
    assert problem.startswith("project.name is '-acme-'; use letters")


def test_an_epoch_is_refused(tmp_path: Path) -> None:
    project = '[project]\nname = "acme-greet"\nversion = "1!2.0"\n'
    problems = problems_of(a_project(tmp_path, project=project))
    assert problems == ["project.version 1!2.0 has an epoch, which a package cannot have"]
