"""What a runner remembers of the attempts that it runs for others."""

from cloacina.planner.events import Identity
from cloacina.planner.guests import ClaimedOffer, Guests, OpenOffer
from engine.graphs import assigned


def a_guest(token: str, execution_id: str = "e") -> ClaimedOffer:
    identity = Identity(
        execution_id=execution_id,
        tenant="public",
        package="embedded",
        package_digest=None,
        workflow="w",
        workflow_version="v",
    )
    offer = OpenOffer(identity=identity, task="a", task_number=0, attempt=1)
    return ClaimedOffer(offer=offer, token=token, texts={})


def test_an_end_that_an_owner_here_has_written_is_not_reported() -> None:
    guests = Guests()
    guests.admit(a_guest("t1"))
    guests.end("t1", assigned(), is_told=True)
    guests.settle(gone=())
    assert (guests.is_any, guests.tokens) == (False, [])


def test_an_end_is_reported_after_all_if_its_owner_here_could_not_write_it() -> None:
    guests = Guests()
    guests.admit(a_guest("t1"))
    guests.admit(a_guest("t2", "other"))
    guests.end("t1", assigned(), is_told=True)
    guests.end("t2", assigned(), is_told=True)
    assert set(guests.tokens) == {"t1", "t2"}  # they must not pass for claims in doubt
    guests.settle(gone={"e": RuntimeError()})
    assert [report.result.token for report in guests.reports] == ["t1"]
    guests.reported(guests.reports[0])
    assert not guests.is_any
