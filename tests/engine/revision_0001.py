"""A database as revision 0001 left it, with one execution of every kind of row in it.

These statements never change with the tables: they are what a real old database holds.
"""

import sqlalchemy as sa

from cloacina.store import schema

EXECUTION = "01936f00-0000-7000-8000-000000000001"
GRAPH = (
    '{"name":"w","description":"","tags":{},"tasks":['
    '{"id":"a","dependencies":[],"retry":RETRY,"trigger_rule":null,"allow_failure":false,'
    '"is_async":false,"description":"","fingerprint":""},'
    '{"id":"b","dependencies":["a"],"retry":RETRY,"trigger_rule":null,"allow_failure":false,'
    '"is_async":false,"description":"","fingerprint":""}]}'
).replace(
    "RETRY",
    '{"max_attempts":1,"initial_delay_ms":1000,"max_delay_ms":60000,'
    '"backoff":{"type":"Exponential","base":"2","multiplier":"1"},"jitter":true,'
    '"conditions":[{"type":"AllErrors"}]}',
)

ROWS: dict[str, list[tuple[object, ...]]] = {
    "runners": [
        ("01936f00-0000-7000-8000-00000000000a", "there", 7, "2024-11-27T00:00:00.000000Z")
    ],
    "graphs": [("d" * 64, GRAPH)],
    "workflow_executions": [
        (
            *(EXECUTION, "public", "embedded", None, "w", "v", "d" * 64, "Running"),
            *("01936f00-0000-7000-8000-00000000000a", 1, 0, '{"n":1}', None, None, None),
            *("2024-11-27T00:00:00.000001Z", "2024-11-27T00:00:00.000002Z", None, 3),
        )
    ],
    "task_executions": [
        (
            *(EXECUTION, 0, "a", "Completed", None, 1, 0, 0, None, "2024-11-27T00:00:00.000003Z"),
            *("2024-11-27T00:00:00.000004Z", '{"set":{"a":"done"},"removed":[]}'),
            *(None, None, None),
        ),
        (
            *(EXECUTION, 1, "b", "Running", None, 1, 0, 0, None, "2024-11-27T00:00:00.000005Z"),
            *(None, None, None, None, None),
        ),
    ],
    "task_attempts": [
        (
            *(EXECUTION, 0, 1, "t1", "01936f00-0000-7000-8000-00000000000a"),
            *("2024-11-27T00:00:00.000003Z", "2024-11-27T00:00:00.000004Z", "Succeeded"),
            *(None, None, None),
        ),
        (
            *(EXECUTION, 1, 1, "t2", "01936f00-0000-7000-8000-00000000000a"),
            *("2024-11-27T00:00:00.000005Z", None, None, None, None, None),
        ),
    ],
    "execution_events": [
        (EXECUTION, 1, None, "execution_submitted", "2024-11-27T00:00:00.000001Z", None, None),
        (EXECUTION, 2, 0, "task_started", "2024-11-27T00:00:00.000003Z", None, None),
        (EXECUTION, 3, 0, "task_completed", "2024-11-27T00:00:00.000004Z", "é", None),
    ],
}
"""The rows of each table, in the order of its columns then, in the order of the foreign keys."""


def populate(connection: sa.Connection) -> None:
    """Make the tables of revision 0001 in an empty database, and fill them."""
    schema.upgrade(connection, "0001")
    for table, rows in ROWS.items():
        for row in rows:
            marks = ", ".join(f":c{n}" for n in range(len(row)))
            statement = sa.text(f"INSERT INTO {table} VALUES ({marks})")  # noqa: S608 - no input
            connection.execute(statement, {f"c{n}": value for n, value in enumerate(row)})


def contents(connection: sa.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Return what a database of any later revision holds in the columns of revision 0001."""
    found = {}
    for table, rows in ROWS.items():
        result = connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY 1, 2"))  # noqa: S608 - no input
        found[table] = [tuple(row)[: len(rows[0])] for row in result]
    return found
