"""Compare the engine with its peers on one machine, in one run, as ratios.

    python compare.py [--rounds N] [--only WORKLOAD] [--database sqlite|postgres]

Every engine runs each workload in a process and an environment of its own; the engines take turns,
and the medians over the rounds are compared. Absolute figures of a shared machine mean little,
ratios more: treat less than 1.5 times as a tie. A peer that cannot be installed is left out.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contestants import CONTESTANTS, Contestant, Role
from servers import a_database, a_server
from workloads import WORKLOADS, Workload

HERE = Path(__file__).parent
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import cloacina_sdk": [sys.executable, "-c", "import cloacina_sdk"],
    "cloacina-ctl --help": [sys.executable, "-m", "cloacina.ctl", "--help"],
    "hello-world process": [sys.executable, str(HERE / "hello.py")],
}
_LONGEST_S = 300

Row = dict[str, float | str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One contestant on one workload: the medians over the rounds."""

    per_second: float
    p50_ms: float | None
    p99_ms: float | None
    durability: str


def main() -> None:
    """Run every engine on every workload and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=[workload.name for workload in WORKLOADS])
    parser.add_argument("--database", choices=["sqlite", "postgres"])
    options = parser.parse_args()
    for database in ("sqlite", "postgres"):
        if options.database in {None, database}:
            compare_on(database, options.only, options.rounds)
    if options.only is None and options.database is None:
        time_commands(options.rounds)


def compare_on(database: str, only: str | None, rounds: int) -> None:
    """Print the tables of one database."""
    is_postgres = database == "postgres"
    with server_for(is_postgres=is_postgres) as server:
        present = [c for c in CONTESTANTS if c.is_postgres == is_postgres and is_installed(c)]
        for workload in WORKLOADS:
            if only in {None, workload.name}:
                title = "PostgreSQL" if is_postgres else "SQLite"
                say(f"\n{title}, {workload.title} ({workload.count} runs, median of {rounds})")
                print_table(compare(present, workload, rounds, server))


@contextmanager
def server_for(*, is_postgres: bool) -> Iterator[str | None]:
    """Run a PostgreSQL server, if one is needed, and return its URL."""
    if not is_postgres:
        yield None
        return
    with a_server() as url:
        yield url


def compare(
    present: Sequence[Contestant], workload: Workload, rounds: int, server: str | None
) -> dict[Contestant, Figures]:
    """Let everybody run a workload, in turns."""
    rows: dict[Contestant, list[Row]] = {}
    for _ in range(rounds):
        for contestant in present:
            if contestant.only is None or workload.name in contestant.only:
                row = run_one(contestant, workload, server)
                if row is not None:
                    rows.setdefault(contestant, []).append(row)
    return {contestant: figures_of(found) for contestant, found in rows.items()}


def print_table(figures: Mapping[Contestant, Figures]) -> None:
    """Print one workload's table, and what Cloacina is beside the best of each role."""
    say(f"  {'engine':<20}{'runs/s':>10}{'p50 ms':>10}{'p99 ms':>10}   durability")
    for contestant, found in figures.items():
        times = "".join(
            f"{'' if t is None else f'{t:.2f}':>10}" for t in (found.p50_ms, found.p99_ms)
        )
        say(f"  {contestant.title:<20}{found.per_second:>10.1f}{times}   {found.durability}")
    ours = next((f for c, f in figures.items() if c.role is Role.OURS), None)
    for role in (Role.ENGINE, Role.QUEUE, Role.BARE):
        others = [found for contestant, found in figures.items() if contestant.role is role]
        if ours is not None and others:
            say(f"  Cloacina beside the best {role}: {beside(ours, others)}")


def beside(ours: Figures, others: Sequence[Figures]) -> str:
    """Say how many times the throughput, and what part of the latency, ours are."""
    rate = ours.per_second / max(other.per_second for other in others)
    times = [other.p50_ms for other in others if other.p50_ms is not None]
    if ours.p50_ms is None or not times:
        return f"{rate:.2f} times the throughput"
    return f"{rate:.2f} times the throughput, {ours.p50_ms / min(times):.2f} of the median latency"


def figures_of(rows: Sequence[Row]) -> Figures:
    """Return the medians of some rows of one contestant."""

    def median(field: str) -> float | None:
        values = [float(row[field]) for row in rows if row[field] is not None]  # type: ignore[arg-type]
        return statistics.median(values) if values else None

    per_second = median("per_second")
    assert per_second is not None
    return Figures(
        per_second=per_second,
        p50_ms=median("p50_ms"),
        p99_ms=median("p99_ms"),
        durability=str(rows[0]["durability"]),
    )


def run_one(contestant: Contestant, workload: Workload, server: str | None) -> Row | None:
    """Time one engine on one workload in a new process; ``None`` if it fails, which is said."""
    command = [*python_for(contestant), str(HERE / "one.py"), contestant.engine, workload.name]
    if server is None:
        done = run(command)
    else:
        with a_database(server) as url:
            done = run([*command, url])
    if done.returncode or not done.stdout.strip():
        if contestant.role is Role.OURS:
            sys.exit(f"{contestant.title} failed on {workload.name}:\n{done.stderr[-2000:]}")
        say(f"  {contestant.title} failed: {last_line(done.stderr)}")
        return None
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def is_installed(contestant: Contestant) -> bool:
    """Whether a contestant's environment can be made; if not, it is said why."""
    if not contestant.requires:
        return True
    done = run([*python_for(contestant), "-c", "pass"])
    if done.returncode:
        say(f"{contestant.title} is left out: {last_line(done.stderr)}")
    return not done.returncode


def python_for(contestant: Contestant) -> list[str]:
    """Return the command that starts the interpreter of a contestant's environment."""
    if not contestant.requires:
        return [sys.executable]
    uv = os.environ.get("UV", "uv")
    requirements = [word for each in contestant.requires for word in ("--with", each)]
    isolated = ["--no-project", "--isolated", "--quiet", "--python", sys.executable]
    return [uv, "run", *isolated, *requirements, "python"]


def run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, or for at most some minutes."""
    environment = {k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST_S,
            env=environment,
        )
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(command, 1, "", f"took longer than {late.timeout} s")


def last_line(text: str) -> str:
    """Return the last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


def time_commands(rounds: int) -> None:
    """Print how long whole processes take, beside the bare interpreter."""
    say("\nwhole processes (median)")
    for title, command in COMMANDS.items():
        taken = [time_process(command) for _ in range(4 * rounds)]
        say(f"  {title:<22}{statistics.median(taken) * 1000:>8.0f} ms")


def time_process(command: Sequence[str]) -> float:
    """Return the seconds from start to end of a process."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def say(line: str) -> None:
    """Print a line at once, so that a long run shows where it is."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
