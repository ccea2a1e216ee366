"""The smallest whole use: define a workflow, run it on a private database, end."""

from cloacina import Context, DefaultRunner, WorkflowBuilder, task

with WorkflowBuilder("hello"):

    @task
    def greet(context: Context) -> None:
        context["greeting"] = f"hello {context['name']}"


with DefaultRunner(":memory:") as runner:
    print(runner.execute("hello", {"name": "world"}).final_context["greeting"])
