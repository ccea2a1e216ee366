"""Any number of rounds of each kind: ``python -m crash N [--first SEED]``, with ``PYTHONPATH=tests``.

Run from the root of the repository. Ends with 1 if a round found something; its seed and kind say
how to run it again. (Instants are not repeatable: a seed decides who is killed when, not what the
processes are doing then.)
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from crash.harness import Plan, run
from crash.kinds import KINDS, Servers, opened


def main() -> int:
    """Run the rounds and return the exit code."""
    parser = argparse.ArgumentParser(prog="crash", description=__doc__)
    parser.add_argument("rounds", type=int, help="how many of each kind")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    given = parser.parse_args()
    failures = 0
    with ExitStack() as stack:
        servers = Servers(stack)
        for seed in range(given.first, given.first + given.rounds):
            for kind in KINDS:
                with ExitStack() as round_stack:
                    directory = Path(round_stack.enter_context(tempfile.TemporaryDirectory()))
                    place = round_stack.enter_context(opened(kind, directory, servers))
                    plan = Plan(seed=seed, processes=kind.processes, restart=place.restart)
                    found = run(plan, place.where, directory)
                failures += bool(found)
                for problem in found:
                    sys.stdout.write(f"{kind}, seed {seed}: {problem}\n")
            sys.stdout.write(f"seed {seed}: {failures} rounds failed so far\n")
            sys.stdout.flush()
    sys.stdout.write(f"{given.rounds} rounds of each of {len(KINDS)} kinds: {failures} failed\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
