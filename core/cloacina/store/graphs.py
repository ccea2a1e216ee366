"""Graphs as they are stored: one document per distinct graph, under its digest."""

import json
from functools import lru_cache

from cloacina.model.topology import Topology
from cloacina_sdk.spec import WorkflowSpec


@lru_cache(maxsize=1024)
def parse_graph(document: str) -> Topology:
    """Return the topology of a stored graph; the same object for the same text."""
    return Topology.of(WorkflowSpec.from_document(json.loads(document)))
