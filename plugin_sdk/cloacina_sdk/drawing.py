"""A workflow's graph for people and tools: as JSON, Mermaid and Graphviz DOT.

Every edge points from a task to one that depends on it.
"""

from __future__ import annotations

from cloacina_sdk.json_text import JsonValue, encode
from cloacina_sdk.spec import WorkflowSpec


def graph_document(spec: WorkflowSpec, *, tenant: str, package: str) -> dict[str, JsonValue]:
    """Return nodes (the tasks' documents), edges and metadata."""
    return {
        "metadata": {
            "tenant": tenant,
            "package": package,
            "workflow": spec.name,
            "description": spec.description,
            "tags": dict(spec.tags),
        },
        "nodes": [task.to_document() for task in spec.tasks],
        "edges": [{"from": first, "to": second} for first, second in _edges(spec)],
    }


def mermaid(spec: WorkflowSpec) -> str:
    """Return a flowchart, from the top down."""
    number = {task.id: f"n{index}" for index, task in enumerate(spec.tasks)}
    lines = [
        "flowchart TD",
        *(f'    {node}["{task_id}"]' for task_id, node in number.items()),
        *(f"    {number[first]} --> {number[second]}" for first, second in _edges(spec)),
    ]
    return "\n".join(lines) + "\n"


def dot(spec: WorkflowSpec) -> str:
    """Return a directed graph in Graphviz's language."""
    lines = [
        f"digraph {encode(spec.name)} {{",
        *(f"    {encode(task.id)};" for task in spec.tasks),
        *(f"    {encode(first)} -> {encode(second)};" for first, second in _edges(spec)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _edges(spec: WorkflowSpec) -> list[tuple[str, str]]:
    return [(needed, task.id) for task in spec.tasks for needed in task.dependencies]
