"""What simulated bodies say while they run, and what has to be stored of it."""

from collections.abc import Mapping

from cloacina_sdk.log_line import LogLine, LogSource
from simulation.bodies import Body
from simulation.log import require
from simulation.snapshot import Snapshot


def speaks(body: Body) -> bool:
    """Whether a body says something, half way through."""
    return body.duration_us % 3 == 0


def words(token: str) -> LogLine:
    """Return what the body of an attempt says."""
    return LogLine(source=LogSource.LOGGING, text=f"this is {token}", logger="body")


def check_logs(snapshots: Mapping[str, Snapshot], bodies: Mapping[str, Body]) -> None:
    """Every line belongs to an attempt that said it; what a success said is there."""
    for execution_id, snapshot in snapshots.items():
        tokens = {(each.task_number, each.number): each for each in snapshot.attempts}
        stored = {(line.task_number, line.attempt): line for line in snapshot.logs}
        require(len(stored) == len(snapshot.logs), f"{execution_id} has a line twice")
        for key, line in stored.items():
            token = tokens[key].token
            require(bodies[token].has_spoken, f"attempt {key} of {execution_id} said nothing")
            expected = (1, words(token).text)
            require((line.seq, line.text) == expected, f"{execution_id} has a line of another")
        for key, attempt in tokens.items():
            is_success = attempt.outcome == "Succeeded"
            spoke = attempt.token in bodies and bodies[attempt.token].has_spoken
            if is_success and spoke:
                require(key in stored, f"what attempt {key} of {execution_id} said is lost")
