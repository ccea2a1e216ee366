"""Compare the engine with its peers on one machine, in one run, as ratios.

    python compare.py [--rounds N] [--only WORKLOAD]

Every engine runs each workload in a process of its own; the engines take turns, and the medians
over the rounds are compared. Absolute figures of a shared machine mean little, ratios more: treat
less than 1.5 times as a tie.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from workloads import WORKLOADS, Workload

HERE = Path(__file__).parent
OURS = "cloacina_sqlite"
ENGINES = {
    OURS: "Cloacina",
    "dbos_sqlite:wal": "DBOS, WAL",
    "dbos_sqlite": "DBOS, as it comes",
}
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import cloacina_sdk": [sys.executable, "-c", "import cloacina_sdk"],
    "cloacina-ctl --help": [sys.executable, "-m", "cloacina.ctl", "--help"],
    "hello-world process": [sys.executable, str(HERE / "hello.py")],
}

Row = dict[str, float | str]


def main() -> None:
    """Run every engine on every workload and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=[workload.name for workload in WORKLOADS])
    options = parser.parse_args()
    for workload in WORKLOADS:
        if options.only in {None, workload.name}:
            compare(workload, options.rounds)
    if options.only is None:
        time_commands(options.rounds)


def compare(workload: Workload, rounds: int) -> None:
    """Print one workload's table."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for _ in range(rounds):
        for engine in ENGINES:
            rows[engine].append(run_one(engine, workload))
    rate = {engine: median(found, "per_second") for engine, found in rows.items()}
    p50 = {engine: median(found, "p50_ms") for engine, found in rows.items()}
    best_rate = max(rate[engine] for engine in ENGINES if engine != OURS)
    best_p50 = min(p50[engine] for engine in ENGINES if engine != OURS)
    say(f"\n{workload.title} ({workload.count} runs, median of {rounds} rounds)")
    say(f"  {'engine':<20}{'runs/s':>10}{'p50 ms':>10}{'p99 ms':>10}   durability")
    for engine, title in ENGINES.items():
        p99 = median(rows[engine], "p99_ms")
        figures = f"{rate[engine]:>10.1f}{p50[engine]:>10.2f}{p99:>10.2f}"
        say(f"  {title:<20}{figures}   {rows[engine][0]['durability']}")
    say(
        f"  Cloacina against the best peer: {rate[OURS] / best_rate:.1f} times the throughput, "
        f"{p50[OURS] / best_p50:.2f} of the median latency"
    )


def run_one(engine: str, workload: Workload) -> Row:
    """Time one engine on one workload in a new process."""
    command = [sys.executable, str(HERE / "one.py"), engine, workload.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode or not done.stdout.strip():
        sys.exit(f"{engine} failed on {workload.name}:\n{done.stderr[-2000:]}")
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


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


def median(rows: Sequence[Row], field: str) -> float:
    """Return the median of one field."""
    return statistics.median(float(row[field]) for row in rows)


def say(line: str) -> None:
    """Print a line at once, so that a long run shows where it is."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
