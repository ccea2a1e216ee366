"""Run the simulation of a seed."""

from collections.abc import Iterable

from simulation import scenario
from simulation.log import Log
from simulation.memory import SimulatedDatabase
from simulation.scenario import Liveness
from simulation.shared import OpenDatabase
from simulation.world import World, new_dice


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


def simulate(
    seed: int,
    open_database: OpenDatabase = SimulatedDatabase,
    liveness: Liveness | None = None,
) -> Log:
    """Run a seed to its end and return what happened.

    ``liveness`` is how runners show that they live, where the database does not leave it to chance.

    Raises:
        SimulationFailedError: if an invariant does not hold, or the engine raises.
    """
    log = Log()
    dice = new_dice(seed)
    plan = scenario.draw(dice)
    how = liveness or plan.liveness
    database = open_database(how)
    try:
        World(plan, how, database, dice, log).run()
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
