"""Workflows that many tests define."""

from cloacina import Context, WorkflowBuilder, task


def a_noop(name: str) -> None:
    """Define a workflow of one task that does nothing, where the test collects its workflows."""
    with WorkflowBuilder(name):

        @task
        def only(_context: Context) -> None: ...


def a_copier(name: str) -> None:
    """Define a workflow of one task that says who asked for it."""
    with WorkflowBuilder(name):

        @task
        def only(context: Context) -> None:
            context["done"] = context["by"]
