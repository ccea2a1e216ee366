"""What holds up a whole execution: that it is paused, or that nobody has it who could go on."""

from cloacina.model.explanation import Explanation, Reason
from cloacina.model.states import ExecutionStatus
from cloacina.planner.explain.facts import Facts


def obstacle_of(facts: Facts) -> Explanation | None:
    """Say what holds up an execution that has not ended; ``None`` if nothing does."""
    owner = facts.owner
    if facts.stored.status == ExecutionStatus.PAUSED:
        sentence, hint = "the execution is paused", "resume it"
        return Explanation(reason=Reason.PAUSED, sentence=sentence, unblock=hint)
    if owner is None:
        return _unowned(facts)
    if not owner.is_alive:
        return Explanation(
            reason=Reason.OWNER_DEAD,
            sentence=f"{owner} had the execution and died",
            unblock="the next runner that looks around, and knows the workflow, goes on with it",
        )
    return None


def _unowned(facts: Facts) -> Explanation:
    identity = facts.stored.identity
    workflow = f"{identity.package}::{identity.workflow}"
    is_new = facts.stored.epoch == 0
    if facts.can_serve is None:
        reason = Reason.PENDING if is_new else Reason.NO_OWNER
        sentence = "no runner has " + ("taken the execution yet" if is_new else "the execution")
        hint = f"start a runner that knows workflow {workflow!r}"
        if identity.package_digest is not None:
            hint += f" and loads package {identity.package_digest}"
    elif facts.can_serve and facts.misrouted:
        reason = Reason.MISROUTED
        sentence = f"no runner has the execution, and here {facts.misrouted}"
        hint = "start a runner whose routing fits, or change that of this one"
    elif facts.can_serve:
        reason = Reason.PENDING if is_new else Reason.CLAIM_DUE
        sentence = "no runner has taken the execution " + ("yet" if is_new else "over yet")
        hint = "this runner takes it the next time it looks around, which is about to happen"
    elif identity.package_digest is not None:
        reason = Reason.PACKAGE_MISSING
        sentence = (
            "no runner has the execution, and the package that it is pinned to "
            f"({identity.package_digest}) is not loaded here"
        )
        hint = "load that very package in a runner on this database"
    elif facts.is_known:
        reason = Reason.WORKFLOW_CHANGED
        sentence = (
            f"no runner has the execution, and workflow {workflow!r}, as it is registered here, "
            "lacks tasks that the execution was planned with"
        )
        hint = f"register version {identity.workflow_version} as well, or migrate the execution"
    else:
        reason = Reason.WORKFLOW_UNKNOWN
        sentence = f"no runner has the execution, and workflow {workflow!r} is not registered here"
        hint = "register the workflow in a runner on this database"
    return Explanation(reason=reason, sentence=sentence, unblock=hint)
