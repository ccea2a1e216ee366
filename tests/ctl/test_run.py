"""Running packages from the command line, in processes of their own."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cloacina.store.tables import EXECUTIONS
from cloacina_signing.keys import PrivateKey
from ctl.commands import GREET, Place, document, ok
from packages.makers import GREETER

YOU = ("--context", '{"name": "you"}')
TWO = GREET + GREETER.format(word="bye").replace("greet", "part").replace(
    "class Greet", "class Part"
)


@pytest.fixture
def trusting(place: Place) -> Place:
    place.trust()
    return place


def test_json_is_exactly_what_scripts_rely_on(trusting: Place) -> None:
    done = trusting.run("run", trusting.package(), *YOU, "--json")
    assert done.returncode == 0, done.stderr
    result = document(done)
    assert result.pop("execution_id")
    assert result == {
        "workflow": "greet",
        "status": "Completed",
        "final_context": {"name": "you", "greeting": "HELLO YOU"},
        "tasks": [
            {"task": "greet", "status": "Completed", "attempts": 1, "error": None},
            {"task": "shout", "status": "Completed", "attempts": 1, "error": None},
        ],
        "package": "greeter",
    }
    assert done.stderr == ""


def test_a_failed_run_says_why_and_exits_with_one(trusting: Place) -> None:
    done = trusting.run("run", trusting.package())
    assert done.returncode == 1
    assert "greet  Failed      1 attempt  cloacina_sdk.errors.ContextKeyError" in done.stdout
    assert "shout  Skipped     0 attempts  dependency 'greet' failed" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_following_writes_one_line_for_each_change(trusting: Place) -> None:
    done = trusting.run("run", trusting.package(), *YOU, "--follow")
    lines = [line.split() for line in done.stdout.splitlines()[:4]]
    assert [line[1:] for line in lines] == [
        ["greet", "Running", "attempt", "1"],
        ["greet", "Completed", "attempt", "1"],
        ["shout", "Running", "attempt", "1"],
        ["shout", "Completed", "attempt", "1"],
    ]
    offsets = [float(line[0].removesuffix("s")) for line in lines]
    assert offsets == sorted(offsets)


def test_following_shows_failures_retries_and_what_was_skipped(trusting: Place) -> None:
    source = GREET.replace(
        "@task(retry_attempts=1)", "@task(retry_attempts=2, retry_delay_ms=1, retry_jitter=False)"
    )
    done = trusting.run("run", trusting.package(source=source), "--follow", "--json")
    assert done.returncode == 1
    assert document(done)["status"] == "Failed"
    seen = [line.split()[1:4] for line in done.stderr.splitlines()]
    assert seen == [
        ["greet", "Running", "attempt"],
        ["greet", "Failed", "attempt"],
        ["greet", "Retrying", "attempt"],
        ["greet", "Running", "attempt"],
        ["greet", "Failed", "attempt"],
        ["shout", "Skipped", "dependency"],
    ]


def test_following_shows_what_tasks_print(trusting: Place) -> None:
    source = GREET.replace("WORD + ", "print('said\\x1b[31m') or WORD + ")
    done = trusting.run("run", trusting.package(source=source), *YOU, "--follow")
    assert done.stderr == "greet | said\\x1b[31m\n"


def test_the_context_may_come_from_a_file(trusting: Place) -> None:
    (trusting.path / "input.json").write_text('{"name": "f\u00efle"}', "utf-8")
    done = trusting.run("run", trusting.package(), "--context", "@input.json", "--json")
    assert document(done)["final_context"]["greeting"] == "HELLO F\u00cfLE"


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ("{name: 1}", "the context is not a JSON object"),
        ("[1, 2]", "a context is an object"),
        ('{"x": NaN}', "the context is not a JSON object"),
        ("@nowhere.json", "nowhere.json cannot be read: No such file"),
        ("@latin.json", "is not UTF-8"),
    ],
)
def test_a_bad_context_is_refused_before_anything_is_made(
    place: Place, context: str, words: str
) -> None:
    (place.path / "latin.json").write_bytes(b'{"x": "\xe9"}')
    done = place.run("run", place.package(), "--context", context)
    assert done.returncode == 2
    assert words in done.stderr
    assert "--context @FILE" in done.stderr
    assert not place.home.exists()


def test_one_of_several_workflows_is_named_behind_the_path(trusting: Place) -> None:
    package = trusting.package("two.cloacina", TWO)
    done = trusting.run("run", package)
    assert done.returncode == 2
    assert f"{package}::greet, {package}::part" in done.stderr
    done = trusting.run("run", f"{package}::part", *YOU, "--json")
    assert document(done)["workflow"] == "part"
    done = trusting.run("run", f"{package}::graet")
    assert done.returncode == 2
    assert "did you mean 'greet'?" in done.stderr


def test_a_bare_name_says_what_to_name_instead(trusting: Place) -> None:
    trusting.package("hello.cloacina")
    done = trusting.run("run", "helo")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "Error: there is no workflow 'helo': it is neither a package file nor a project "
        "directory, nor the name of a workflow that ran here before; "
        "did you mean 'hello.cloacina'?"
    ]


def test_a_workflow_that_ran_here_before_is_run_by_its_name(trusting: Place) -> None:
    package = trusting.package("hello.cloacina")
    assert trusting.run("run", package, *YOU).returncode == 0
    package.unlink()
    for name in ("greet", "greeter::greet"):
        done = trusting.run("run", name, *YOU, "--json")
        assert document(done)["status"] == "Completed"
    done = trusting.run("run", "graet")
    assert done.returncode == 2
    assert "did you mean 'greet'" in done.stderr


def test_a_remembered_package_is_verified_again(trusting: Place) -> None:
    package = trusting.package("hello.cloacina")
    assert trusting.run("run", package, *YOU).returncode == 0
    (trusting.home / "trust.json").unlink()
    done = trusting.run("run", "greet", *YOU)
    assert done.returncode == 5
    assert "nobody is trusted here" in done.stderr


def test_a_refused_package_is_not_run_and_no_database_is_made(place: Place) -> None:
    package = place.package(keys=())
    done = place.run("run", package)
    assert done.returncode == 4
    assert "unsigned: it is not signed" in done.stderr
    assert f"cloacina-ctl --home {place.home} trust init" in done.stderr
    assert not (place.home / "cloacina.db").exists()


def test_a_package_for_another_platform_is_refused(trusting: Place) -> None:
    done = trusting.run("run", trusting.package(tag="cp39-cp39-win32"))
    assert done.returncode == 9
    assert "none of its wheels fits this platform" in done.stderr


def test_a_package_that_disagrees_with_its_manifest_is_refused(trusting: Place) -> None:
    package = trusting.package(source=GREET, workflows=())
    assert trusting.run("run", package).returncode == 3
    from packages.makers import offered_by

    other = offered_by(TWO, "greeter_tasks", trusting.path)[1:]
    done = trusting.run("run", trusting.package(source=GREET, workflows=other))
    assert done.returncode == 3
    assert "disagrees with its signed manifest" in done.stderr
    assert "Traceback" not in done.stderr


def test_detached_signatures_count_when_a_package_is_run(trusting: Place) -> None:
    package = trusting.package(keys=())
    key = PrivateKey.generate("friend")
    ok(trusting.invoke("sign", package, "--key", trusting.private_key(key), "--detached"))
    ok(trusting.invoke("trust", "add", trusting.public_key(key), "--grant", "greeter"))
    done = trusting.run("run", package, *YOU)
    assert done.returncode == 0, done.stderr


def test_the_database_may_be_elsewhere(trusting: Place) -> None:
    done = trusting.run("run", trusting.package(), *YOU, "--database", "here.db")
    assert done.returncode == 0, done.stderr
    assert not (trusting.home / "cloacina.db").exists()
    with closing(sqlite3.connect(trusting.path / "here.db")) as database:
        rows = database.execute(f"SELECT status FROM {EXECUTIONS.name}").fetchall()  # noqa: S608 - our own name
    assert rows == [("Completed",)]


PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "hello"
version = "0.1"

[tool.setuptools]
py-modules = ["hello"]
"""


def test_a_project_is_built_signed_and_trusted_for_this_run_alone(place: Place) -> None:
    project = place.path / "hello"
    project.mkdir()
    (project / "pyproject.toml").write_text(PROJECT + '\n[tool.cloacina]\nmodules = ["hello"]\n')
    (project / "hello.py").write_text(GREET)
    done = place.run("run", project, *YOU, "--json")
    assert done.returncode == 0, done.stderr
    assert document(done)["final_context"]["greeting"] == "HELLO YOU"
    assert "signed it with the development key" in done.stderr
    assert sorted(path.name for path in project.iterdir()) == ["hello.py", "pyproject.toml"]
    key = place.home / "keys/development.key.json"
    assert key.stat().st_mode & 0o777 == 0o600
    assert not (place.home / "trust.json").exists()
    # the key counts for nothing else: a file that it signed is refused
    package = place.package(keys=())
    ok(place.invoke("sign", package, "--key", key))
    assert place.run("run", package, *YOU).returncode == 5


def test_a_directory_that_is_no_project_is_refused(place: Place) -> None:
    project = place.path / "hello"
    project.mkdir()
    assert place.run("run", project).returncode == 2
    (project / "pyproject.toml").write_text(PROJECT)
    (project / "hello.py").write_text(GREET)
    done = place.run("run", project)
    assert done.returncode == 3
    assert "has no table [tool.cloacina]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["run", "."], ["demo"]])
def test_without_the_build_tool_the_command_that_installs_it_is_named(
    place: Place, command: list[str]
) -> None:
    script = (
        "import sys\n"
        "sys.modules['cloacina_build'] = None\n"
        "from cloacina.ctl.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--home", "home", *command],
        cwd=place.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'cloacina[build]'" in done.stderr


def test_a_workflow_that_there_is_not_is_answered_with_those_there_are(trusting: Place) -> None:
    package = trusting.package()
    there = trusting.invoke("run", f"{package}::gret", "--context", "{}")
    assert there.exit_code == 2
    assert "offers no workflow 'gret'; did you mean 'greet'? it offers greet" in there.output
    ok(trusting.invoke("run", package, "--context", '{"name": "you"}'))
    for name in ("hello::nope", "nope"):
        unknown = trusting.invoke("run", name)
        assert unknown.exit_code == 2
        assert "Known by name here: greeter::greet" in unknown.output


def test_what_is_kept_of_packages_is_for_the_owner_alone(trusting: Place) -> None:
    ok(trusting.invoke("run", trusting.package(), "--context", '{"name": "you"}'))
    kept = [each for each in trusting.home.rglob("*") if each.is_dir()]
    assert {each.name for each in kept} >= {"packages", "store", "greeter-1.0.dist-info"}
    assert {each.name: each.stat().st_mode & 0o077 for each in kept} == {
        each.name: 0 for each in kept
    }


def test_a_home_that_is_made_belongs_to_its_owner(place: Place) -> None:
    place.run("run", place.package(keys=()), "--context", "{}")
    assert not Path(place.home).exists()
    (place.path / "x").mkdir()
    place.run("run", place.path / "x")
    assert place.home.stat().st_mode & 0o777 == 0o700


def test_a_terminal_shows_progress_as_a_tree_and_what_tasks_print_above_it(
    trusting: Place,
) -> None:
    source = GREET.replace("WORD + ", "print('a word') or WORD + ")
    package = trusting.package(source=source)
    shown = trusting.run_on_a_terminal("run", str(package), *YOU, "--follow")
    assert "shout  Completed" in shown
    printed = next(line for line in shown.splitlines() if "a word" in line)
    assert printed.endswith("greet | a word")
    assert "Running" not in printed
    assert "HELLO YOU" in shown


def test_following_a_mapped_task_tells_its_progress_in_a_few_lines(trusting: Place) -> None:
    source = """
from cloacina_sdk import task, workflow

@workflow(name="greet")
class Greet:
    @task(map_over="names", retry_attempts=1)
    def greet(context, item):
        return "hello " + item
"""
    names = ("--context", '{"names": [' + ",".join(f'"n{n}"' for n in range(300)) + "]}")
    done = trusting.run("run", trusting.package(source=source), *names, "--follow")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if "Running" in line]
    assert 2 <= len(told) <= 11
    assert told[0].endswith("0/300 elements done")
    assert told[-1].endswith("300/300 elements done")
    assert any("greet  Completed" in line for line in done.stdout.splitlines())
