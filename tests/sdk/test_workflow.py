"""Workflows: of classes, of modules and built in blocks."""

import sys
import threading
from types import ModuleType

import pytest

from cloacina_sdk import Context, Workflow, WorkflowBuilder, task, task_success, workflow
from cloacina_sdk.collect import (
    Collection,
    collecting,
    current_collection,
    default_collection,
    workflows_of,
)
from cloacina_sdk.errors import InvalidDefinitionError, InvalidWorkflowError
from cloacina_sdk.namespace import TaskNamespace
from cloacina_sdk.spec import WorkflowSpec


@pytest.fixture(autouse=True)
def collection() -> object:
    """Keep the process's own collection clean."""
    with collecting(Collection()) as own:
        yield own


def body(context: Context) -> None:
    context["ran"] = True


def build(name: str = "flow", **options: str) -> Workflow:
    with WorkflowBuilder(name, **options) as builder:

        @task
        def extract(context: Context) -> None:
            """Fetch.

            More.
            """

        @task(id="clean", dependencies=[extract])
        async def transform(context: Context) -> None: ...

        @task(dependencies=[transform, "extract"], allow_failure=True)
        def load(context: Context) -> None: ...

    return builder.workflow_built


def module_of(source: str, name: str = "acme.steps") -> ModuleType:
    module = ModuleType(name)
    exec(source, vars(module))  # noqa: S102 - a module for the test
    return module


def test_a_block_becomes_a_workflow_and_is_recorded() -> None:
    built = build()
    assert current_collection().workflows() == [built]
    assert [one.id for one in built.spec.tasks] == ["extract", "clean", "load"]
    assert [one.dependencies for one in built.spec.tasks] == [
        (),
        ("extract",),
        ("clean", "extract"),
    ]
    assert [one.is_async for one in built.spec.tasks] == [False, True, False]
    assert [one.allow_failure for one in built.spec.tasks] == [False, False, True]
    assert built.spec.tasks[0].description == "Fetch."
    assert list(built.functions) == ["extract", "clean", "load"]
    assert repr(built) == "Workflow(name='flow', tasks=3)"


def test_names_default_to_public_and_embedded() -> None:
    built = build()
    assert (built.tenant, built.package, built.name) == ("public", "embedded", "flow")
    other = build("flow", tenant="t", package="p", workflow="w")
    assert other.namespace_of("load") == TaskNamespace("t", "p", "w", "load")


def test_the_questions_about_a_workflow_answer_in_full_names() -> None:
    built = build(package="p")
    full = "public::p::flow::"
    assert built.topological_sort() == [f"{full}extract", f"{full}clean", f"{full}load"]
    assert built.get_execution_levels() == [[f"{full}extract"], [f"{full}clean"], [f"{full}load"]]
    assert built.get_roots() == [f"{full}extract"]
    assert built.get_leaves() == [f"{full}load"]
    built.validate()


def test_setters_chain_and_are_kept() -> None:
    with WorkflowBuilder("flow").description("about").tag("b", "2").tag("a", "1") as builder:
        task(id="only")(lambda context: None)
    built = builder.workflow_built
    assert built.description == "about"
    assert built.tags == {"a": "1", "b": "2"}
    assert built.spec.tags == (("a", "1"), ("b", "2"))
    built.tags["c"] = "3"
    assert built.tags == {"a": "1", "b": "2"}, "what is handed out is a copy"
    assert repr(builder) == "WorkflowBuilder(name='flow')"


def test_the_exception_of_the_block_goes_on_and_nothing_is_built() -> None:
    builder = WorkflowBuilder("flow")
    with pytest.raises(RuntimeError, match="my own"), builder:
        raise RuntimeError("my own")
    assert current_collection().workflows() == []
    with pytest.raises(InvalidDefinitionError, match="not built yet"):
        _ = builder.workflow_built


def test_reopening_a_name_replaces_the_workflow() -> None:
    first = build()
    build("other")
    second = build()
    assert current_collection().workflows()[0] is second
    assert second is not first
    assert len(second.spec.tasks) == 3
    builder = WorkflowBuilder("again")
    for name in ("a", "b"):
        with builder:
            task(id=name)(lambda context: None)
    assert [one.id for one in builder.workflow_built.spec.tasks] == ["b"]


def test_an_empty_block_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be empty"), WorkflowBuilder("flow"):
        pass
    with pytest.raises(InvalidWorkflowError, match="cannot be empty"):
        WorkflowBuilder("flow").build()


def test_build_inside_the_block_takes_the_chosen_tasks() -> None:
    with WorkflowBuilder("flow") as builder:

        @task
        def a(context: Context) -> None: ...

        @task(dependencies=["a"])
        def b(context: Context) -> None: ...

        assert len(builder.build().spec.tasks) == 2
        assert builder.add_task("a") is builder
        assert [one.id for one in builder.build().spec.tasks] == ["a"]
        builder.add_task(b).add_task(b)
        assert [one.id for one in builder.build().spec.tasks] == ["a", "b"]
    assert len(builder.workflow_built.spec.tasks) == 2


def test_add_task_takes_functions_of_elsewhere_and_refuses_the_unknown() -> None:
    @task
    def elsewhere(context: Context) -> None: ...

    def no_task(context: Context) -> None: ...

    with WorkflowBuilder("flow") as builder:
        builder.add_task(elsewhere)
        for unknown in ("ghost", no_task):
            with pytest.raises(ValueError, match="not found in registry"):
                builder.add_task(unknown)
        with pytest.raises(ValueError, match="string task ID or a function object"):
            builder.add_task(123)  # type: ignore[arg-type]  # on purpose
    assert [one.id for one in builder.workflow_built.spec.tasks] == ["elsewhere"]


def test_nested_blocks_keep_their_tasks_apart() -> None:
    with WorkflowBuilder("outer") as outer:
        task(id="a")(lambda context: None)
        with WorkflowBuilder("inner") as inner:
            task(id="b")(lambda context: None)
        task(id="c")(lambda context: None)
    assert [one.id for one in outer.workflow_built.spec.tasks] == ["a", "c"]
    assert [one.id for one in inner.workflow_built.spec.tasks] == ["b"]


def test_blocks_in_two_threads_do_not_mix() -> None:
    together = threading.Barrier(2)
    built: dict[str, Workflow] = {}

    def run(name: str) -> None:
        with collecting(Collection()), WorkflowBuilder(name) as builder:
            together.wait(10)
            task(id=f"{name}1")(lambda context: None)
            together.wait(10)
            task(id=f"{name}2")(lambda context: None)
        built[name] = builder.workflow_built

    threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [one.id for one in built["a"].spec.tasks] == ["a1", "a2"]
    assert [one.id for one in built["b"].spec.tasks] == ["b1", "b2"]


def test_full_names_in_rules_and_dependencies_are_resolved_inside_the_workflow() -> None:
    with WorkflowBuilder("flow", tenant="t", package="p") as builder:
        task(id="a")(lambda context: None)
        task(
            id="b",
            dependencies=["t::p::flow::a"],
            trigger_rules=task_success("t::p::flow::a") | task_success("a"),
        )(lambda context: None)
    spec = builder.workflow_built.spec.task("b")
    assert spec.dependencies == ("a",)
    assert spec.trigger_rule == task_success("a") | task_success("a")


def test_every_mistake_of_a_block_is_reported_together() -> None:
    builder = WorkflowBuilder("flow").__enter__()
    task(id="a", dependencies=["b"])(lambda context: None)
    task(id="b", dependencies=["a"])(lambda context: None)
    task(id="b", dependencies=["ghost"])(lambda context: None)
    task(id="c", trigger_rules=task_success("x"))(lambda context: None)
    with pytest.raises(InvalidWorkflowError) as caught:
        builder.__exit__(None, None, None)
    assert len(caught.value.problems) == 3
    assert current_collection().workflows() == []


def test_a_class_is_a_workflow_of_its_functions() -> None:
    module = module_of("""
from cloacina_sdk import task, workflow

@workflow
class HTTPToDb2Flow:
    @task
    def extract(context): ...

    def helper(context): ...

    @task(dependencies=[extract])
    async def load(context): ...
""")
    kind: type = vars(module)["HTTPToDb2Flow"]
    made: Workflow = vars(kind)["__cloacina_workflow__"]
    assert made.name == "http_to_db2_flow"
    assert made.spec.graph() == {"extract": (), "load": ("extract",)}
    assert current_collection().workflows() == [made]
    assert isinstance(kind, type)


def test_static_methods_of_a_class_are_tasks_in_either_order_of_decorators() -> None:
    @workflow
    class Flow:
        @task(id="fetch")
        @staticmethod
        def extract(context: Context) -> None:
            context["ran"] = True

        @staticmethod
        @task(dependencies=[extract])
        def load(context: Context) -> None: ...

    made: Workflow = vars(Flow)["__cloacina_workflow__"]
    assert made.spec.graph() == {"fetch": (), "load": ("fetch",)}
    context = Context()
    made.functions["fetch"](context)
    Flow.extract(context)
    assert context == {"ran": True}
    assert made.is_from_source


def test_a_class_takes_options_and_inherits_tasks() -> None:
    class Base:
        @task
        @staticmethod
        def first(context: Context) -> None: ...

        @task(dependencies=["first"])
        @staticmethod
        def second(context: Context) -> None: ...

    @workflow(name="mine", description="d", tags={"k": "v"})
    class Derived(Base):
        @task
        @staticmethod
        def second(context: Context) -> None: ...

        @task(dependencies=["second"])
        @staticmethod
        def third(context: Context) -> None: ...

    made: Workflow = vars(Derived)["__cloacina_workflow__"]
    assert (made.name, made.description, made.tags) == ("mine", "d", {"k": "v"})
    assert made.spec.graph() == {"first": (), "second": (), "third": ("second",)}


MODULE = """
from cloacina_sdk import task

@task
def a(context): ...

@task(dependencies=[a])
def b(context): ...

again = b
"""


def test_a_module_is_a_workflow_of_its_own_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of(MODULE)

    @task
    def foreign(context: Context) -> None: ...

    vars(module)["foreign"] = foreign
    made = workflow(module)
    assert made.name == "steps"
    assert [one.id for one in made.spec.tasks] == ["a", "b"]
    assert vars(module)["__cloacina_workflow__"] is made
    monkeypatch.setitem(sys.modules, "acme.steps", module)
    named = workflow("acme.steps", name="named")
    assert current_collection().workflows() == [made, named]


@pytest.mark.parametrize("target", ["no.such.module", 3, lambda context: None])
def test_another_target_is_refused(target: str) -> None:
    with pytest.raises(InvalidDefinitionError, match=r"write workflow\(__name__\)"):
        workflow(target)


def test_a_package_gets_what_was_recorded_and_the_tasks_that_stand_alone() -> None:
    source = MODULE + (
        "from cloacina_sdk import WorkflowBuilder\n"
        "with WorkflowBuilder('built') as builder:\n"
        "    builder.add_task(a)\n"
        "@task\n"
        "def c(context): ...\n"
    )
    with collecting(Collection()) as recorded:
        module = module_of(source.replace("dependencies=[a]", ""))
    found = workflows_of(module, name="rest", recorded=recorded.workflows())
    assert [(one.name, list(one.functions)) for one in found] == [
        ("built", ["a"]),
        ("rest", ["b", "c"]),
    ]
    assert workflows_of(ModuleType("empty"), name="none") == []


def test_collections_announce_replace_and_keep_order() -> None:
    collection = Collection()
    seen: list[Workflow] = []
    with collecting(collection):
        first = build("a")
        end = collection.subscribe(seen.append)
        second = build("b")
        third = build("a")
        end()
        end()
        fourth = build("b", tenant="other")
    assert collection.workflows() == [third, second, fourth]
    assert seen == [second, third]
    assert first not in default_collection().workflows()


def test_the_innermost_collection_records_and_the_default_serves_outside() -> None:
    assert current_collection() is not default_collection()
    inner = Collection()
    with collecting(inner):
        build("a")
    build("b")
    assert [one.name for one in inner.workflows()] == ["a"]
    assert [one.name for one in current_collection().workflows()] == ["b"]
    seen: list[Collection] = []
    thread = threading.Thread(target=lambda: seen.append(current_collection()))
    thread.start()
    thread.join(10)
    assert seen == [default_collection()], "a fresh thread has a context of its own"


def test_a_workflow_does_not_change() -> None:
    built = build()
    with pytest.raises(AttributeError):
        built.name = "other"  # type: ignore[misc]  # on purpose
    with pytest.raises(TypeError):
        built.functions["x"] = print  # type: ignore[index]  # on purpose


def test_the_version_is_the_start_of_the_digest_and_covers_the_description() -> None:
    built = build()
    assert len(built.digest) == 64
    assert built.version == built.digest[:16]
    assert built.is_from_source
    assert build().digest == built.digest
    assert build(tenant="other").digest != built.digest
    assert build(package="other").digest == built.digest, "a package may be renamed"
    with WorkflowBuilder("flow") as one:
        task(id="a")(body)
    with WorkflowBuilder("flow").tag("k", "v") as two:
        task(id="a")(body)
    with WorkflowBuilder("flow") as three:
        task(id="a", retry_attempts=9)(body)
    digests = {builder.workflow_built.digest for builder in (one, two, three)}
    assert len(digests) == 3


def test_the_graph_is_shown_as_json_mermaid_and_dot() -> None:
    built = build()
    document = built.to_graph_document()
    assert document["edges"] == [
        {"from": "extract", "to": "clean"},
        {"from": "clean", "to": "load"},
        {"from": "extract", "to": "load"},
    ]
    assert document["metadata"] == {
        "tenant": "public",
        "package": "embedded",
        "workflow": "flow",
        "description": "",
        "tags": {},
    }
    assert document["nodes"] == built.spec.to_document()["tasks"]
    assert built.to_mermaid() == (
        'flowchart TD\n    n0["extract"]\n    n1["clean"]\n    n2["load"]\n'
        "    n0 --> n1\n    n1 --> n2\n    n0 --> n2\n"
    )
    assert built.to_dot() == (
        'digraph "flow" {\n    "extract";\n    "clean";\n    "load";\n'
        '    "extract" -> "clean";\n    "clean" -> "load";\n    "extract" -> "load";\n}\n'
    )


def test_the_spec_of_a_workflow_survives_its_document() -> None:
    spec = build().spec
    assert all(len(one.fingerprint) == 64 for one in spec.tasks)
    assert WorkflowSpec.from_document(spec.to_document()) == spec
