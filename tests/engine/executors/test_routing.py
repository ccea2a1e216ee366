"""Rules that say which executor runs which task."""

import pytest

from cloacina import RoutingConfig, RoutingRule, TaskNamespace
from cloacina.errors import InvalidRoutingError, UnknownExecutorError

TASK = TaskNamespace("public", "embedded", "nightly.report", "load-data")


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("*", True),
        ("public::*", True),
        ("public::embedded::nightly.report::load-data", True),
        ("*::load-*", True),
        ("public::embedded::nightly.?eport::*", True),
        ("*::[kl]oad-data", True),
        ("*::[!k]oad-data", True),
        ("*::[!l]oad-data", False),
        ("public::embedded::nightlyXreport::*", False),
        ("*::load", False),
        ("PUBLIC::*", False),
        ("other::*", False),
    ],
)
def test_a_pattern_is_a_glob_over_the_full_name(pattern: str, fits: bool) -> None:
    assert RoutingRule(pattern, "far").fits(TASK) is fits


def test_the_first_rule_that_fits_wins_then_the_default_then_the_kind() -> None:
    rules = [RoutingRule("*::load-*", "first"), RoutingRule("public::*", "second")]
    routing = RoutingConfig(default="rest", rules=rules)
    assert routing.executor_for(TASK, "thread") == "first"
    other = TaskNamespace("public", "p", "w", "t")
    assert routing.executor_for(other, "thread") == "second"
    stranger = TaskNamespace("tenant", "p", "w", "t")
    assert routing.executor_for(stranger, "thread") == "rest"
    assert RoutingConfig(rules=rules).executor_for(stranger, "loop") == "loop"


@pytest.mark.parametrize(
    "pattern",
    ["", "load-data", "a::b::c", "a::b::c::d::e", "::b::c::*", "a::b::c::[x", "*::[", "*::[]", 7],
)
def test_a_pattern_that_can_fit_no_task_is_refused(pattern: object) -> None:
    with pytest.raises(InvalidRoutingError):
        RoutingRule(pattern, "far")  # type: ignore[arg-type]  # one of them is no text


@pytest.mark.parametrize("name", ["", "Far", "a b", "é", "x" * 65, None, 3])
def test_a_name_that_no_executor_can_have_is_refused(name: object) -> None:
    with pytest.raises(InvalidRoutingError, match="no name of an executor"):
        RoutingRule("*", name)  # type: ignore[arg-type]  # not all of them are text


def test_what_is_no_rule_is_refused() -> None:
    with pytest.raises(InvalidRoutingError, match="RoutingRule"):
        RoutingConfig(rules=[("*", "far")])  # type: ignore[list-item]  # that is the point


def test_an_executor_that_nobody_brought_is_refused_with_the_known_ones() -> None:
    routing = RoutingConfig(rules=[RoutingRule("*", "far")])
    with pytest.raises(UnknownExecutorError, match=r"'far'.*loop, thread, worker"):
        routing.check(["thread", "loop", "worker"])
    with pytest.raises(UnknownExecutorError, match="'gone'"):
        RoutingConfig(default="gone").check(["thread"])
    routing.check(["far"])
