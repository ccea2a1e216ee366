"""The workflow `source_census`: find the files, count eight chunks of them, join, report.

find_files -> scan_0 ... scan_7 -> join_chunks  -> write_report
           -> compare_speed     ------------->
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cloacina_sdk import Context, WorkflowBuilder, task
from source_census import native
from source_census.census import Census
from source_census.files import balanced, python_files, standard_library
from source_census.speed import compare

CHUNKS = 8
TOP = 20
SAMPLE_FILES = 64

Task = Callable[[Context], None]


def scan_chunk(number: int, context: Context) -> None:
    """Count one chunk of the files."""
    files: Any = context["files"]
    census = native.take(_read(context, files["chunks"][number]))
    context[f"chunk_{number}"] = census.to_json()
    print(f"Chunk {number}: {len(files['chunks'][number])} files, {census.lines} lines")


def _read(context: Context, paths: list[str]) -> list[bytes]:
    directory = Path(str(context["directory"]))
    return [Path(directory, path).read_bytes() for path in paths]


with WorkflowBuilder("source_census") as census:
    census.description("Count the lines, tokens and identifiers of a tree of Python source")

    @task(retry_condition="transient")
    def find_files(context: Context) -> None:
        """Find the files below `directory`, by default the standard library's."""
        directory = Path(str(context.setdefault("directory", standard_library())))
        found = python_files(directory)
        if not found:
            raise ValueError(f"there is no Python file below {directory}")
        paths = [path for path, _ in found]
        context["files"] = {
            "count": len(found),
            "bytes": sum(size for _, size in found),
            "chunks": balanced(found, CHUNKS),
            "sample": paths[:: len(paths) // SAMPLE_FILES + 1],
        }
        print(f"Found {len(found)} files below {directory}")

    scans: list[Task] = [
        task(id=f"scan_{number}", dependencies=[find_files])(partial(scan_chunk, number))
        for number in range(CHUNKS)
    ]

    @task(dependencies=[find_files])
    def compare_speed(context: Context) -> None:
        """Measure, on a sample of the files, what the native scanner is worth."""
        files: Any = context["files"]
        speed = compare(_read(context, files["sample"]))
        context["speed"] = speed
        print(f"The native scanner is {speed['times_faster']} times as fast")

    @task(dependencies=scans)
    def join_chunks(context: Context) -> None:
        """Add the chunks up, and drop them: only the sums travel on."""
        chunks: list[Any] = [context.pop(f"chunk_{number}") for number in range(CHUNKS)]
        total = Census.joined(Census(**chunk) for chunk in chunks)
        context["totals"] = {
            "lines": total.lines,
            "longest_line": total.longest_line,
            "tokens": {
                "identifiers": total.identifiers,
                "numbers": total.numbers,
                "operators": total.operators,
            },
            "distinct_identifiers": len(total.counts),
            "top_identifiers": [list(pair) for pair in total.top(TOP)],
        }

    @task(dependencies=[join_chunks, compare_speed])
    def write_report(context: Context) -> None:
        """Put the report together, in the context and, if `report_file` names one, in a file."""
        files: Any = context.pop("files")
        totals: Any = context.pop("totals")
        report = {
            "directory": context["directory"],
            "files": files["count"],
            "bytes": files["bytes"],
            **totals,
            "speed": context.pop("speed"),
        }
        context["report"] = report
        report_file = context.get("report_file")
        if report_file is not None:
            Path(str(report_file)).write_text(json.dumps(report, indent=2) + "\n", "utf-8")
        print(f"{report['files']} files, {report['lines']} lines, most often:")
        for name, count in totals["top_identifiers"]:
            print(f"{count:>9} {name}")
