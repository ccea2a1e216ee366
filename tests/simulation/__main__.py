"""Replay a seed, or search many: ``python -m simulation SEED`` or ``--seeds N [--first M]``.

Run from the root of the repository with ``PYTHONPATH=tests``. Ends with 1 if a seed fails. On a
real database each seed is run on the model as well, and the two logs are compared.
"""

import argparse
import logging
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial

from engine.databases import the_server
from simulation.databases import Kind, opened
from simulation.scenario import Liveness
from simulation.simulate import SimulationFailedError, compare, simulate

_CHUNK = 50


def _replay(seed: int, kind: Kind, liveness: Liveness | None, server: str | None) -> int:
    try:
        with opened(kind, server) as open_database:
            log = simulate(seed, open_database, kind.liveness or liveness)
    except SimulationFailedError as failed:
        sys.stdout.write(failed.log.text())
        traceback.print_exception(failed.cause)
        return 1
    sys.stdout.write(log.text())
    return 0


def _try(first: int, *, end: int, kind: Kind, server: str | None) -> list[str]:
    """Return what the seeds of one chunk found."""
    logging.disable()
    found: list[str] = []
    with opened(kind, server) as open_database:
        for seed in range(first, min(end, first + _CHUNK)):
            try:
                if kind.liveness is None:
                    simulate(seed, open_database)
                else:
                    compare(seed, open_database, kind.liveness)
            except SimulationFailedError as failed:
                found.append(str(failed))
    return found


def _search(seeds: range, kind: Kind, server: str | None, jobs: int) -> int:
    began = time.monotonic()
    attempt = partial(_try, end=seeds.stop, kind=kind, server=server)
    failures = 0
    with ProcessPoolExecutor(jobs) as pool:
        for found in pool.map(attempt, seeds[::_CHUNK]):
            failures += len(found)
            for failure in found:
                print(failure, flush=True)
    rate = len(seeds) / (time.monotonic() - began)
    print(
        f"{len(seeds)} seeds from {seeds.start} on {kind}: {failures} failed; {rate:.0f} a second"
    )
    return 1 if failures else 0


@contextmanager
def _server_for(kind: Kind) -> Iterator[str | None]:
    with the_server() if kind is Kind.POSTGRES else nullcontext() as server:
        yield server


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("seed", nargs="?", type=int, help="print the log of this seed")
    parser.add_argument("--database", type=Kind, choices=list(Kind), default=Kind.MEMORY)
    parser.add_argument("--liveness", type=Liveness, choices=list(Liveness), help="in memory only")
    parser.add_argument("--seeds", type=int, default=1000, help="how many to search")
    parser.add_argument("--first", type=int, default=0, help="where the search begins")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes search")
    given = parser.parse_args()
    logging.disable()  # the log tells what was made to fail
    with _server_for(given.database) as server:
        if given.seed is not None:
            return _replay(given.seed, given.database, given.liveness, server)
        seeds = range(given.first, given.first + given.seeds)
        return _search(seeds, given.database, server, given.jobs)


if __name__ == "__main__":
    sys.exit(main())
