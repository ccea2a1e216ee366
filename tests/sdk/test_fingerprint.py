"""Fingerprints of code."""

import functools
import linecache
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloacina_sdk.fingerprint import CodeFingerprint, code_fingerprint

BASE = '''
import math
from os import path as paths

LIMIT = 3
OTHER = 4

def helper(x):
    """Help."""
    return inner(x) + LIMIT

def inner(x):
    return math.floor(x)

def unused(x):
    return OTHER

@task(retry_attempts=1)
def body(context):
    """Do it."""
    context["a"] = helper(1)  # a comment
    if context["a"] > 2:
        return None
    return context
'''


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    """Import a source text as a module of its own and return one of its names."""
    numbers = iter(range(1_000))

    def load(source: str, name: str = "body") -> Any:
        file = tmp_path / f"module{next(numbers)}.py"
        file.write_text(source)
        namespace: dict[str, Any] = {"__name__": file.stem, "task": lambda **_: lambda body: body}
        exec(compile(source, str(file), "exec"), namespace)  # noqa: S102 - a module for the test
        return namespace[name]

    return load


def changed(old: str, new: str) -> str:
    assert old in BASE
    return BASE.replace(old, new)


@pytest.mark.parametrize(
    "source",
    [
        changed("# a comment", "# another"),
        changed('"""Do it."""\n    ', ""),
        changed('"""Do it."""', "'''Do something else.\n    entirely'''"),
        changed('"""Help."""\n', "# nothing\n"),
        changed('context["a"] = helper(1)', "context [ 'a' ] = (\n        helper( 1 )\n    )"),
        changed("    return context\n", "\n\n\n    return context\n"),
        changed("OTHER = 4", "OTHER = 5"),
        changed("return OTHER", "return 7"),
        changed("retry_attempts=1", "retry_attempts=2,\n    retry_jitter=False"),
        "\n\n\n" + BASE,
        BASE + "\ndef more(): ...\n",
    ],
)
def test_what_does_not_change_the_code_does_not_change_the_fingerprint(
    load: Callable[..., Any], source: str
) -> None:
    first, second = code_fingerprint(load(BASE)), code_fingerprint(load(source))
    assert first.from_source
    assert first == second


@pytest.mark.parametrize(
    "source",
    [
        changed("> 2", "> 3"),
        changed("> 2", ">= 2"),
        changed("return None", "return 0"),
        changed("return inner(x) + LIMIT", "return inner(x) - LIMIT"),
        changed("LIMIT = 3", "LIMIT = 4"),
        changed("LIMIT = 3", "LIMIT = 3.0"),
        changed("math.floor(x)", "math.ceil(x)"),
        changed("import math", "import cmath as math"),
        changed("def body(context)", "async def body(context)"),
        changed("def body(context)", "def body(context, more=1)"),
        changed("LIMIT = 3", "LIMIT = 3\nLIMIT += 1"),
        changed("LIMIT = 3", "if paths:\n    LIMIT = 3\nelse:\n    LIMIT = 5"),
        changed("@task(retry_attempts=1)", "@(lambda body: body)\n@task(retry_attempts=1)"),
    ],
)
def test_what_changes_the_code_changes_the_fingerprint(
    load: Callable[..., Any], source: str
) -> None:
    assert code_fingerprint(load(BASE)).digest != code_fingerprint(load(source)).digest


def test_helpers_that_call_each_other_come_to_an_end(load: Callable[..., Any]) -> None:
    source = "def body(c): return a(c)\ndef a(c): return b(c)\ndef b(c): return a(c) or body(c)\n"
    first = code_fingerprint(load(source))
    assert first.from_source
    assert first != code_fingerprint(load(source.replace("a(c) or", "a(c) and")))


def test_a_helper_inside_the_enclosing_function_is_followed(load: Callable[..., Any]) -> None:
    source = (
        "def make():\n    STEP = 1\n    def near(x): return x + STEP\n"
        "    def body(c): return near(c)\n    return body\nbody = make()\n"
    )
    first = code_fingerprint(load(source))
    assert first.from_source
    assert first != code_fingerprint(load(source.replace("STEP = 1", "STEP = 2")))
    assert first != code_fingerprint(load(source.replace("x + STEP", "x - STEP")))


def test_a_class_that_the_body_names_is_followed(load: Callable[..., Any]) -> None:
    source = "class Tool:\n    def use(self): return 1\ndef body(c): return Tool().use()\n"
    edited = source.replace("return 1", "return 2")
    assert code_fingerprint(load(source)) != code_fingerprint(load(edited))


def test_the_whole_class_of_an_object_counts(load: Callable[..., Any]) -> None:
    source = (
        "class Tool:\n    def __call__(self, c): return self.help()\n"
        "    def help(self): return 1\nbody = Tool()\n"
    )
    first = code_fingerprint(load(source))
    assert first.from_source
    assert first != code_fingerprint(load(source.replace("return 1", "return 2")))


def test_partials_count_their_function_and_arguments(load: Callable[..., Any]) -> None:
    one, two = load(BASE), load(changed("> 2", "> 9"))
    first = code_fingerprint(functools.partial(one, limit=1))
    assert first.from_source
    assert first == code_fingerprint(functools.partial(one, limit=1))
    assert first != code_fingerprint(functools.partial(one, limit=2))
    assert first != code_fingerprint(functools.partial(two, limit=1))
    assert first != code_fingerprint(one)


def test_lambdas_have_fingerprints_unless_two_share_a_line(load: Callable[..., Any]) -> None:
    first = code_fingerprint(load("body = lambda c: c + 1\n"))
    assert first.from_source
    assert first != code_fingerprint(load("body = lambda c: c + 2\n"))
    assert not code_fingerprint(load("body, other = lambda c: c, lambda c: c + 1\n")).from_source


def without_source(source: str) -> CodeFingerprint:
    namespace: dict[str, Any] = {}
    exec(compile(source, "<typed in>", "exec"), namespace)  # noqa: S102 - code without a file
    return code_fingerprint(namespace["body"])


def test_without_source_the_bytecode_serves_and_says_so() -> None:
    source = "def body(c):\n    def inner(): return 1\n    return c.load({'x', 'y', 'z'}, inner)\n"
    first = without_source(source)
    assert not first.from_source
    assert first == without_source(source)
    assert first != without_source(source.replace("return 1", "return 2"))
    assert first != without_source(source.replace("load", "store"))


def test_a_file_that_changed_since_the_import_is_not_mistaken_for_the_code(
    load: Callable[..., Any],
) -> None:
    body = load("def body(c):\n    return 1\n")
    path = Path(body.__code__.co_filename)
    path.write_text("x = 1\n\ndef body(c):\n    return 1\n")
    linecache.checkcache(str(path))
    assert not code_fingerprint(body).from_source
    path.write_text("def body(c:\n")
    linecache.checkcache(str(path))
    assert not code_fingerprint(body).from_source


def test_builtins_have_a_fingerprint_by_name() -> None:
    assert not code_fingerprint(len).from_source
    assert code_fingerprint(len) != code_fingerprint(max)


def test_the_fingerprint_is_the_same_in_every_process(tmp_path: Path) -> None:
    file = tmp_path / "steps.py"
    file.write_text("def body(c):\n    return c in {'x', 'y', 'z', 1, 2.5, b'q', None}\n")
    program = (
        "import steps; from cloacina_sdk.fingerprint import code_fingerprint as f\n"
        "exec(compile('def typed(c): return c in {\"x\", \"y\", \"z\"}', '<typed>', 'exec'))\n"
        "print(f(steps.body).digest, f(typed).digest)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


KNOWN_SOURCE = """
def body(context: dict[str, int], *rest: int, flag: bool = True) -> object:
    with open('x') as file, open('y'):
        text = f'{context!r:>{flag}} and' ' more'
    match rest:
        case [int(), *_]:
            return [x for x in rest] if -1.5e3 else {**context, 'a': (1, b'b', ...)}
    try:
        return text
    except* ValueError:
        raise
"""
KNOWN_DIGEST = "5ef84b6908ca12d6535274090f842adeef7c533259c12937d35225bf5a59f444"


def test_a_known_code_keeps_its_known_fingerprint(load: Callable[..., Any]) -> None:
    """Every Python version gives this very digest: the versions of stored runs depend on it."""
    assert code_fingerprint(load(KNOWN_SOURCE)) == CodeFingerprint(
        digest=KNOWN_DIGEST, from_source=True
    )
