"""The sample `source_census`: its scanner in C, the twin in Python, and the workflow."""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .conftest import BuiltSample
from .projects import SAMPLES, run_workflow

SOURCES = st.one_of(
    st.binary(max_size=300),
    st.text("aZ_09. +=\n\x80\u00e9\U0001f40d", max_size=300).map(str.encode),
)


@pytest.fixture(scope="session")
def scanners(source_census: BuiltSample) -> Iterator[dict[str, Any]]:
    sys.path.insert(0, str(source_census.unpacked))
    names = ("native", "python", "files", "census", "speed")
    yield {name: import_module(f"source_census.{name}") for name in names}
    sys.path.remove(str(source_census.unpacked))


def test_tokens_are_the_longest_runs(scanners: dict[str, Any]) -> None:
    source = b"x1 = 0x_ff+.5e3 **y\n\n# caf\xc3\xa9: caf\xc3\xa9 \xff\n\tlast"
    for scanner in (scanners["native"], scanners["python"]):
        census = scanner.take([source])
        assert (census.lines, census.longest_line) == (4, 19)
        assert census.counts == {"x1": 1, "y": 1, "café": 2, "\\xff": 1, "last": 1}
        assert (census.identifiers, census.numbers, census.operators) == (6, 2, 4)


@pytest.mark.parametrize(
    ("source", "lines", "longest"),
    [
        (b"", 0, 0),
        (b"\n", 1, 0),
        (b"a", 1, 1),
        (b"a\n", 1, 1),
        (b"a\r\nbcd", 2, 3),
        (b"\n\n", 2, 0),
    ],
)
def test_the_last_line_needs_no_newline(
    scanners: dict[str, Any], source: bytes, lines: int, longest: int
) -> None:
    for scanner in (scanners["native"], scanners["python"]):
        census = scanner.take([source])
        assert (census.lines, census.longest_line) == (lines, longest)


@given(st.lists(SOURCES, max_size=4))
def test_both_scanners_count_the_same(scanners: dict[str, Any], sources: list[bytes]) -> None:
    assert scanners["native"].take(sources) == scanners["python"].take(sources)


def test_files_can_be_counted_together_or_apart(scanners: dict[str, Any]) -> None:
    sources = [random.Random(seed).randbytes(20_000) for seed in range(5)]  # noqa: S311 - no secret
    native, census = scanners["native"], scanners["census"].Census
    together = native.take(sources)
    assert together == census.joined(native.take([source]) for source in sources)
    assert together == scanners["python"].take(sources)
    assert census(**json.loads(json.dumps(together.to_json()))) == together
    assert census.joined([]) == census()


def test_many_and_long_identifiers_are_kept_apart(scanners: dict[str, Any]) -> None:
    names = [f"name_{number}" for number in range(30_000)] + ["x" * 200_000, "x" * 199_999]
    source = " ".join(names + names[::2]).encode()
    assert scanners["native"].take([source]).counts == Counter(names) + Counter(names[::2])


def test_the_top_is_alphabetical_among_equals(scanners: dict[str, Any]) -> None:
    census = scanners["native"].take([b"b a c c a b d"])
    assert census.top(3) == [("a", 2), ("b", 2), ("c", 2)]


def test_scanners_that_disagree_are_noticed(
    scanners: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    speed, census = scanners["speed"], scanners["census"].Census
    assert speed.compare([b"a b"])["times_faster"] > 0
    monkeypatch.setattr(scanners["python"], "take", lambda _sources: census(lines=7))
    with pytest.raises(ArithmeticError, match="disagree"):
        speed.compare([b"a b"])


def test_chunks_hold_every_file_once_and_are_balanced(scanners: dict[str, Any]) -> None:
    files = [(f"{number}.py", number * number) for number in range(1, 200)]
    sizes = dict(files)
    chunks = scanners["files"].balanced(files, 8)
    assert sorted(path for chunk in chunks for path in chunk) == sorted(sizes)
    loads = [sum(sizes[path] for path in chunk) for chunk in chunks]
    assert max(loads) - min(loads) <= max(sizes.values())
    assert scanners["files"].balanced([("one.py", 1)], 8)[1:] == [[]] * 7


def test_the_files_of_a_tree_are_found(scanners: dict[str, Any], tmp_path: Path) -> None:
    for path in ("a.py", "b/c.py", "b/site-packages/d.py", "__pycache__/e.py", "f.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x = 1\n")
    assert scanners["files"].python_files(tmp_path) == [("a.py", 6), ("b/c.py", 6)]
    with pytest.raises(NotADirectoryError):
        scanners["files"].python_files(tmp_path / "absent")


def test_the_workflow_reports_exact_totals(
    source_census: BuiltSample, scanners: dict[str, Any]
) -> None:
    directory = Path(json.__file__).parent.parent / "asyncio"
    expected = scanners["python"].take(path.read_bytes() for path in sorted(directory.glob("*.py")))
    given_context = {
        "directory": str(directory),
        "report_file": str(source_census.unpacked.parent / "r.json"),
    }
    context: dict[str, Any] = run_workflow(
        source_census.package, source_census.unpacked, given_context
    )
    report = context["report"]
    assert set(context) == {"directory", "report_file", "report"}
    assert report["files"] == len(list(directory.glob("*.py")))
    assert (report["lines"], report["longest_line"]) == (expected.lines, expected.longest_line)
    assert report["tokens"]["identifiers"] == sum(expected.counts.values())
    assert report["distinct_identifiers"] == len(expected.counts)
    assert report["top_identifiers"] == [list(pair) for pair in expected.top(20)]
    speed = report["speed"]
    ratio = speed["native_mb_per_s"] / speed["python_mb_per_s"]
    assert speed["times_faster"] == pytest.approx(ratio, rel=0.02)
    assert json.loads(Path(given_context["report_file"]).read_text()) == report


def test_the_workflow_fans_out_over_eight_chunks(source_census: BuiltSample) -> None:
    (workflow,) = source_census.package.manifest.workflows
    scans = [f"scan_{number}" for number in range(8)]
    graph = workflow.graph()
    assert all(graph[scan] == ("find_files",) for scan in scans)
    assert graph["join_chunks"] == tuple(scans)
    assert graph["write_report"] == ("join_chunks", "compare_speed")


def test_the_wheel_serves_every_later_python(source_census: BuiltSample) -> None:
    (entry,) = source_census.package.manifest.entries
    assert entry.name.startswith("payload/source_census-0.1.0-cp311-abi3-")


HARNESS = r"""
#include "scanner.h"
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    size_t size = 0, room = 1 << 22;
    uint8_t *read = malloc(room);
    size = fread(read, 1, room, stdin);
    census *all = census_new();
    for (size_t start = 0; start < size;) {
        size_t length = size - start < 4096 ? size - start : 4096;
        uint8_t *exact = malloc(length); /* so that one byte too far is seen */
        for (size_t i = 0; i < length; i++)
            exact[i] = read[start + i];
        if (census_scan(all, exact, length) != 0)
            return 2;
        free(exact);
        start += length;
    }
    census_totals totals = census_sum(all);
    uint8_t *text = malloc(totals.text_bytes);
    uint64_t *lengths = malloc(totals.distinct * sizeof *lengths);
    uint64_t *counts = malloc(totals.distinct * sizeof *counts);
    census_export(all, text, lengths, counts);
    printf("%llu", (unsigned long long)totals.distinct);
    free(read), free(text), free(lengths), free(counts);
    census_free(all);
    return 0;
}
"""


def test_the_scanner_stays_within_its_memory(tmp_path: Path) -> None:
    native = SAMPLES / "source_census" / "native"
    (tmp_path / "harness.c").write_text(HARNESS)
    program = tmp_path / "harness"
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"]
    compiled = subprocess.run(
        ["gcc", *checks, "-I", native, tmp_path / "harness.c", native / "scanner.c", "-o", program],
        capture_output=True,
        text=True,
        check=False,
    )
    if compiled.returncode != 0 and "san" in compiled.stderr:
        pytest.skip("this gcc has no address sanitizer")
    assert compiled.returncode == 0, compiled.stderr
    chosen = random.Random(1)  # noqa: S311 - no secret
    noise = chosen.randbytes(1_000_000)
    words = bytes(chosen.choices(b"abcdefgh_0189 .+\n\xe9", k=1_000_000))
    for source in (noise, words, b"x" * 100_000, b""):
        done = subprocess.run([program], input=source, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) == 0
