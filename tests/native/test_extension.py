"""A compiled CFFI extension module in a worker."""

import subprocess
import sys
from pathlib import Path

import pytest

from cloacina_native.log_lines import LogSource

from .packages import Recorder, act, assigned, worker_of, write_package

BUILD = """
import cffi, sys

ffi = cffi.FFI()
ffi.cdef("int scaled(int value); void say(const char *text);")
ffi.set_source(
    "_acme_native",
    r'''
    #include <stdio.h>
    static int scaled(int value) { return value * FACTOR; }
    static void say(const char *text) { printf("%s\\n", text); printf("unfinished"); }
    ''',
    define_macros=[("FACTOR", sys.argv[2])],
)
ffi.compile(tmpdir=sys.argv[1])
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Two versions of one extension module, each in a package of its own."""
    found: dict[int, Path] = {}
    for factor in (2, 3):
        scratch = tmp_path_factory.mktemp("build")
        command = [sys.executable, "-c", BUILD, str(scratch), str(factor)]
        subprocess.run(command, check=True, capture_output=True)
        (library,) = scratch.glob("_acme_native*.so")
        body = """
            context["n"] = _acme_native.lib.scaled(context["n"])
            _acme_native.lib.say(b"from C")
        """
        package = write_package(scratch / "package", body, head="import _acme_native")
        library.rename(package / library.name)
        found[factor] = package
    return found


def test_two_versions_of_an_extension_run_side_by_side(built: dict[int, Path]) -> None:
    with worker_of(built[2]) as two, worker_of(built[3]) as three:
        for _ in range(2):
            assert assigned(act(two, {"n": "21"})) == {"n": "42"}
            assert assigned(act(three, {"n": "21"})) == {"n": "63"}


def test_what_c_code_prints_arrives_with_its_attempt(built: dict[int, Path]) -> None:
    with worker_of(built[2]) as worker:
        for _ in range(2):
            lines = Recorder()
            assigned(act(worker, {"n": "1"}, lines=lines))
            assert lines.of(LogSource.STDOUT) == ["from C", "unfinished"]
