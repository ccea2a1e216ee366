"""How executions come into being: through the kernel, or in a transaction of the caller's."""

import asyncio
import contextvars
from collections.abc import Callable

from cloacina.errors import DuplicateExecutionError
from cloacina.kernel.clock import new_execution_id
from cloacina.kernel.requests import Submission
from cloacina.planner.events import Submitted
from cloacina.runner.engine import Engine
from cloacina.runner.handle import Controls, ExecutionHandle
from cloacina.runner.submission import (
    ContextLike,
    SubmitOptions,
    WorkflowLike,
    check_same_input,
    name_of,
    new_submission,
)
from cloacina.runtime import Runtime
from cloacina.store import idempotency, outbox
from cloacina.store.idempotency import Earlier
from cloacina.store.outbox import CallersConnection


class Submitter:
    """Submits for one runner. Safe to use from several threads."""

    def __init__(
        self,
        runtime: Runtime,
        require_engine: Callable[[], Engine],
        runner: Controls,
        *,
        max_bytes: int,
    ) -> None:
        """Submit what ``runtime`` offers; ``runner`` is what handles control executions with.

        Inputs have at most ``max_bytes``, if that is not 0.
        """
        self._max_bytes = max_bytes
        self._runtime = runtime
        self._require_engine = require_engine
        self._runner = runner

    def submit(
        self, workflow: WorkflowLike, context: ContextLike, options: SubmitOptions
    ) -> ExecutionHandle:
        """Start an execution, or find the one that has its key; return once it is durable."""
        event = self._event(workflow, context, options)
        found = self._find_earlier(event)
        if found is not None:
            return found
        submission = self._send(event)
        try:
            submission.accepted.result()
        except DuplicateExecutionError:  # somebody else was quicker
            found = self._find_earlier(event)
            if found is None:
                raise  # and is gone already
            return found
        return self._handle_of(submission)

    def begin(
        self, workflow: WorkflowLike, context: ContextLike, options: SubmitOptions
    ) -> ExecutionHandle:
        """Start an execution to be waited for.

        Without a key it need not be known to be durable before it is known to have ended.
        """
        if options.idempotency_key is not None:
            return self.submit(workflow, context, options)
        return self._handle_of(self._send(self._event(workflow, context, options)))

    async def begin_async(
        self, workflow: WorkflowLike, context: ContextLike, options: SubmitOptions
    ) -> ExecutionHandle:
        """Start an execution as ``begin`` does, without blocking the event loop."""
        if options.idempotency_key is not None:
            return await asyncio.to_thread(self.submit, workflow, context, options)
        return self.begin(workflow, context, options)

    def place(
        self,
        workflow: WorkflowLike,
        context: ContextLike,
        options: SubmitOptions,
        given: CallersConnection,
    ) -> ExecutionHandle:
        """Write an execution in a transaction of the caller's; it begins once that is committed."""
        engine = self._require_engine()
        event = self._event(workflow, context, options)
        connection = outbox.connection_of(given)
        now_us = engine.clock.now().utc_us
        earlier = outbox.place(engine.database, connection, event, now_us)
        execution_id = event.identity.execution_id
        if earlier is not None:
            check_same_input(event, earlier)
            execution_id = earlier.execution_id
        ended = engine.outbox.expect(connection, execution_id)
        return ExecutionHandle(execution_id, ended, self._runner)

    def _event(
        self, workflow: WorkflowLike, context: ContextLike, options: SubmitOptions
    ) -> Submitted:
        engine = self._require_engine()
        found = self._runtime.resolve(name_of(workflow))
        execution_id = new_execution_id(engine.clock.now().utc_us)
        event = new_submission(execution_id, found, context, options, max_bytes=self._max_bytes)
        engine.routes.check(event.identity, event.topology)
        return event

    def _send(self, event: Submitted) -> Submission:
        submission = Submission(event=event, variables=contextvars.copy_context())
        self._require_engine().submit(submission)
        return submission

    def _handle_of(self, submission: Submission) -> ExecutionHandle:
        execution_id = submission.event.identity.execution_id
        return ExecutionHandle(execution_id, submission.ended, self._runner)

    def _find_earlier(self, event: Submitted) -> ExecutionHandle | None:
        """Return the execution that has the key of a submission already, if there is one."""
        if event.identity.idempotency_key is None:
            return None
        engine = self._require_engine()
        with engine.database.read() as connection:
            earlier: Earlier | None = idempotency.find_earlier(connection, event.identity)
        if earlier is None:
            return None
        check_same_input(event, earlier)
        ended = engine.await_end(earlier.execution_id)
        return ExecutionHandle(earlier.execution_id, ended, self._runner)
