"""Which executor runs which task: rules that a person writes, checked when they are made."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Final

from cloacina.errors import InvalidRoutingError, UnknownExecutorError
from cloacina_sdk.namespace import TaskNamespace

THREAD, LOOP, WORKER = "thread", "loop", "worker"
BUILT_IN: Final = (THREAD, LOOP, WORKER)
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_PART = "write tenant::package::workflow::task, '*' for any characters"


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """Tasks whose full name fits a pattern run on an executor.

    Attributes:
        pattern: a glob over ``tenant::package::workflow::task``. ``*`` stands for any characters,
            ``::`` included, ``?`` for one, ``[abc]`` for one of several; case counts. The tenant
            is ``public`` and the package ``embedded`` unless the workflow says otherwise.
        executor: the executor's name.

    Raises:
        InvalidRoutingError: if no task can fit the pattern, or no executor have that name.
    """

    pattern: str
    executor: str
    _glob: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problem = _problem_of(self.pattern)
        if problem is not None:
            raise InvalidRoutingError(self.pattern, problem)
        check_name(self.executor)
        object.__setattr__(self, "_glob", re.compile(translate(self.pattern)))

    def fits(self, namespace: TaskNamespace) -> bool:
        """Whether a task's full name fits the pattern."""
        return self._glob.match(str(namespace)) is not None


@dataclass(frozen=True, slots=True)
class RoutingConfig:
    """Which executor runs which task: the first rule that fits, else the default.

    Attributes:
        default: the executor of every task that no rule fits. If left out, it depends on the
            task: ``worker`` for tasks of packages, ``loop`` for async functions, ``thread`` for
            others.
        rules: tried in order.

    Raises:
        InvalidRoutingError: if no executor can have the name of the default.
    """

    default: str | None = None
    rules: Sequence[RoutingRule] = ()

    def __post_init__(self) -> None:
        if self.default is not None:
            check_name(self.default)
        for rule in self.rules:
            if not isinstance(rule, RoutingRule):
                raise InvalidRoutingError(rule, "is not a RoutingRule(pattern, executor)")
        object.__setattr__(self, "rules", tuple(self.rules))

    def check(self, known: Iterable[str]) -> None:
        """Refuse executors that nobody brought.

        Raises:
            UnknownExecutorError: naming the first unknown one, and those that are known.
        """
        names = sorted(known)
        named = [rule.executor for rule in self.rules]
        for name in named if self.default is None else [*named, self.default]:
            if name not in names:
                raise UnknownExecutorError(name, names)

    def executor_for(self, namespace: TaskNamespace, kind: str) -> str:
        """Return the name of the executor of a task that runs on ``kind`` if nobody says more."""
        for rule in self.rules:
            if rule.fits(namespace):
                return rule.executor
        return kind if self.default is None else self.default


def check_name(name: object) -> None:
    """Refuse a name that no executor can have.

    Raises:
        InvalidRoutingError: if it is not such a name.
    """
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        what = "is no name of an executor: use up to 64 of a-z, 0-9, '_' and '-', a letter first"
        raise InvalidRoutingError(name, what)


def _problem_of(pattern: object) -> str | None:
    if not isinstance(pattern, str):
        return f"is no pattern: it is of type {type(pattern).__name__}; {_PART}"
    if re.search(r"\[(?!!?[^\]]+\])", pattern):
        return "has a '[' that is not closed; close it, or write '[[]' for the character itself"
    without_sets = re.sub(r"\[!?[^\]]+\]", "?", pattern)
    parts = without_sets.split("::")
    if "*" not in pattern and (len(parts) != 4 or not all(parts)):
        return f"can fit no task; {_PART}"
    if len(parts) > 4 or not all(parts):
        return f"can fit no task: names have four parts; {_PART}"
    return None
