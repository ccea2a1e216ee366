"""Replay a seed, or search many: ``python -m simulation SEED`` or ``--seeds N [--first M]``.

Run from the root of the repository with ``PYTHONPATH=tests``. Ends with 1 if a seed fails.
"""

import argparse
import logging
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor

from simulation.memory import SimulatedDatabase
from simulation.simulate import SimulationFailedError, simulate
from simulation.sqlite import RealDatabase


def _replay(seed: int, *, on_sqlite: bool) -> int:
    try:
        log = simulate(seed, RealDatabase if on_sqlite else SimulatedDatabase)
    except SimulationFailedError as failed:
        sys.stdout.write(failed.log.text())
        traceback.print_exception(failed.cause)
        return 1
    sys.stdout.write(log.text())
    return 0


def _try(seed: int) -> str | None:
    logging.disable()
    try:
        simulate(seed)
    except SimulationFailedError as failed:
        return str(failed)
    return None


def _search(first: int, count: int, jobs: int) -> int:
    began = time.monotonic()
    with ProcessPoolExecutor(jobs) as pool:
        answers = pool.map(_try, range(first, first + count), chunksize=50)
        failures = [answer for answer in answers if answer is not None]
    for failure in failures[:20]:
        print(failure)
    rate = count / (time.monotonic() - began)
    print(f"{count} seeds from {first}: {len(failures)} failed; {rate:.0f} seeds a second")
    return 1 if failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("seed", nargs="?", type=int, help="print the log of this seed")
    parser.add_argument("--sqlite", action="store_true", help="replay on the real SQLite store")
    parser.add_argument("--seeds", type=int, default=1000, help="how many to search")
    parser.add_argument("--first", type=int, default=0, help="where the search begins")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes search")
    given = parser.parse_args()
    logging.disable()  # the log tells what was made to fail
    if given.seed is not None:
        return _replay(given.seed, on_sqlite=given.sqlite)
    return _search(given.first, given.seeds, given.jobs)


if __name__ == "__main__":
    sys.exit(main())
