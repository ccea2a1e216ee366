"""What the worker says of a package's code; no wheel is built for it."""

from pathlib import Path

import pytest
from packaging.version import Version

from cloacina_build.described import workflows_in
from cloacina_build.errors import BuildError, PackageImportError
from cloacina_build.payload import Payload
from cloacina_build.settings import read_settings
from cloacina_sdk.spec import WorkflowSpec

from .projects import GREET


def described(**sources: str) -> tuple[WorkflowSpec, ...]:
    """Describe a package of one directory that holds these modules."""
    files = {f"acme_greet/{name}.py": source.encode() for name, source in sources.items()}
    payload = Payload(
        filename="unused",
        raw=b"",
        files=files,
        version=Version("1"),
        description="",
        authors=(),
        requires_python="",
    )
    return workflows_in(payload, read_settings({}, "acme-greet", []), Path("acme-greet"))


def test_workflows_come_in_the_order_of_their_definition() -> None:
    second = GREET.replace("Greeting", "Another")
    assert [one.name for one in described(__init__=GREET + second)] == ["greeting", "another"]


def test_tasks_without_a_workflow_make_one_of_the_packages_name() -> None:
    module = "from cloacina_sdk import task\n\n@task\ndef alone(context):\n    pass\n"
    (workflow,) = described(__init__=module)
    assert (workflow.name, list(workflow.graph())) == ("acme-greet", ["alone"])


def test_a_syntax_error_is_shown_with_its_line() -> None:
    with pytest.raises(PackageImportError, match="SyntaxError") as caught:
        described(__init__="def broken(:\n    pass\n")
    assert 'File "acme_greet/__init__.py", line 1' in caught.value.where
    assert "def broken(:" in caught.value.where


def test_an_error_in_a_module_is_shown_from_the_package_on() -> None:
    with pytest.raises(PackageImportError, match="ZeroDivisionError: division by zero") as caught:
        described(__init__="import acme_greet.inner\n", inner="VALUE = 1 / 0\n")
    assert [line.strip() for line in caught.value.where.splitlines() if "File" in line] == [
        'File "acme_greet/__init__.py", line 1, in <module>',
        'File "acme_greet/inner.py", line 1, in <module>',
    ]


def test_what_is_installed_beside_the_tool_is_no_part_of_the_package() -> None:
    with pytest.raises(PackageImportError, match="ModuleNotFoundError: No module named 'click'"):
        described(__init__="import click\n")


def test_modules_that_end_the_process_are_told() -> None:
    with pytest.raises(PackageImportError, match="acme-greet"):
        described(__init__="import os\nos._exit(3)\n")


def test_modules_without_a_workflow_are_refused() -> None:
    with pytest.raises(BuildError, match="workflow"):
        described(__init__="VALUE = 1\n")
