"""Run the simulation of a seed."""

from collections.abc import Iterable
from itertools import zip_longest

from simulation import scenario
from simulation.log import Log, ViolationError
from simulation.memory import SimulatedDatabase
from simulation.scenario import Liveness
from simulation.shared import OpenDatabase
from simulation.world import World, new_dice


class SimulationFailedError(AssertionError):
    """A seed found a violation; says how to replay it."""

    def __init__(
        self, seed: int, log: Log, cause: BaseException, liveness: Liveness | None
    ) -> None:
        self.seed = seed
        self.log = log
        self.cause = cause
        way = f" --liveness {liveness}" if liveness else ""
        super().__init__(
            f"seed {seed}: {type(cause).__name__}: {cause}\n"
            f"replay it with: PYTHONPATH=tests python -m simulation {seed}{way}"
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
        raise SimulationFailedError(seed, log, error, liveness) from error
    finally:
        database.close()
    return log


def compare(seed: int, open_database: OpenDatabase, liveness: Liveness) -> None:
    """Run a seed on the model and on a real database; the logs hold every row, and must be equal.

    Raises:
        SimulationFailedError: if one of them fails, or they differ.
    """
    expected = simulate(seed, liveness=liveness)
    found = simulate(seed, open_database, liveness)
    for told, model in zip_longest(found.lines(), expected.lines()):
        if told != model:
            error = ViolationError(f"the database says {told!r}, the model {model!r}")
            raise SimulationFailedError(seed, found, error, liveness)


def simulate_all(seeds: Iterable[int]) -> None:
    """Run seeds until one fails.

    Raises:
        SimulationFailedError: for the first that finds something.
    """
    for seed in seeds:
        simulate(seed)
