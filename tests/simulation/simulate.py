"""Run the simulation of a seed."""

from collections.abc import Callable, Iterable

from simulation.log import Log
from simulation.memory import SimulatedDatabase
from simulation.shared import Shared
from simulation.world import new_world


class SimulationFailedError(AssertionError):
    """A seed found a violation; says how to replay it."""

    def __init__(self, seed: int, log: Log, cause: BaseException) -> None:
        self.seed = seed
        self.log = log
        self.cause = cause
        super().__init__(
            f"seed {seed}: {type(cause).__name__}: {cause}\n"
            f"replay it with: PYTHONPATH=tests python -m simulation {seed}"
        )


def simulate(seed: int, open_database: Callable[[], Shared] = SimulatedDatabase) -> Log:
    """Run a seed to its end and return what happened.

    Raises:
        SimulationFailedError: if an invariant does not hold, or the engine raises.
    """
    log = Log()
    database = open_database()
    try:
        new_world(seed, database, log).run()
    except Exception as error:
        raise SimulationFailedError(seed, log, error) from error
    finally:
        database.close()
    return log


def simulate_all(seeds: Iterable[int]) -> None:
    """Run seeds until one fails.

    Raises:
        SimulationFailedError: for the first that finds something.
    """
    for seed in seeds:
        simulate(seed)
