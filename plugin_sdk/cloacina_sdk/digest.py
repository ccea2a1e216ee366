"""The digest of a workflow: equal exactly when two workflows run alike.

* Covered: name, tenant, description, tags, limits, and of every task all but its own description,
  which people write and machines ignore.
* The same in every process, on every machine and on every Python version.
"""

from __future__ import annotations

from hashlib import sha256

from cloacina_sdk.json_text import canonical
from cloacina_sdk.spec import WorkflowSpec


def workflow_digest(spec: WorkflowSpec, *, tenant: str) -> str:
    """Return the sha256 of a workflow in 64 hexadecimal digits."""
    covered = spec.to_document()
    tasks = [task.to_document() for task in spec.tasks]
    for document in tasks:
        del document["description"]
    return sha256(canonical({**covered, "tasks": tasks, "tenant": tenant})).hexdigest()
