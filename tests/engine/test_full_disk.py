"""A database that cannot take more for a while: nothing is lost, and work goes on afterwards."""

import gc
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from cloacina import Context, DefaultRunner, Runtime, WorkflowBuilder, task
from cloacina.errors import EngineError, InvalidUrlError
from cloacina_sdk.collect import collecting
from ctl.commands import CTL
from engine.databases import Where

FULL_SQLITE = """
import logging, os, resource, sqlite3, sys, threading
from cloacina import DefaultRunner, Runtime, WorkflowBuilder, task
from cloacina_sdk.collect import collecting

runtime = Runtime()
with collecting(runtime.collection), WorkflowBuilder("w"):
    task(id="only")(lambda context: context.__setitem__("size", len(context["text"])))

class Told(logging.Handler):
    def __init__(self):
        super().__init__()
        self.seen = threading.Event()
        self.text = ""
    def emit(self, record):
        self.text = record.getMessage()
        self.seen.set()

told = Told()
logging.getLogger("cloacina").addHandler(told)
path = sys.argv[1]
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
with DefaultRunner(path, runtime=runtime) as runner:
    before = runner.execute("w", {"text": "x"}, timeout=60).execution_id
    wal = os.stat(path + "-wal").st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(os.stat(path).st_size, wal) + 8192, unlimited[1]))
    handles = []
    submitting = threading.Thread(
        target=lambda: handles.append(runner.submit("w", {"text": "x" * 300_000}))
    )
    submitting.start()
    assert told.seen.wait(60)
    print(told.text)
    assert runner.execution(before).status == "Completed"  # reading goes on
    assert not handles
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    submitting.join(60)
    result = handles[0].wait(60)
    print(result.status, result.final_context["size"], result.tasks["only"].attempts)
    print([each.status for each in runner.executions()])
with sqlite3.connect(path) as database:
    print(database.execute("PRAGMA integrity_check").fetchone()[0])
"""

FILL = """
CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON workflow_executions EXECUTE FUNCTION fill();
"""


def test_a_full_disk_under_sqlite_holds_work_up_and_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_SQLITE, str(tmp_path / "c.db")],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    why, result, statuses, integrity = done.stdout.splitlines()
    assert why.startswith("the database could not be written: ")
    assert "trying again in" in why
    assert result == "Completed 300000 1"
    assert statuses == "['Completed', 'Completed']"
    assert integrity == "ok"


class Told(logging.Handler):
    """Keeps the first warning, and tells when it is there."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.seen = threading.Event()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        if not self.seen.is_set():
            self.text = record.getMessage()
            self.seen.set()


def test_a_full_disk_under_postgres_holds_work_up_and_loses_nothing(postgres: Where) -> None:
    runtime, told = Runtime(), Told()
    handles = []
    with collecting(runtime.collection), WorkflowBuilder("w"):

        @task
        def only(context: Context) -> None:
            context["done"] = True

    with DefaultRunner(postgres.url, runtime=runtime) as runner:
        before = runner.execute("w", timeout=30).execution_id
        postgres.query(FILL)
        logging.getLogger("cloacina").addHandler(told)
        try:
            submitting = threading.Thread(target=lambda: handles.append(runner.submit("w")))
            submitting.start()
            assert told.seen.wait(30)
        finally:
            logging.getLogger("cloacina").removeHandler(told)
            postgres.query("DROP TRIGGER fill ON workflow_executions")
        submitting.join(30)
        result = handles[0].wait(30)
        assert (result.status, result.tasks["only"].attempts) == ("Completed", 1)
        assert runner.execution(before).status == "Completed"
    assert "No space left on device" in told.text
    assert "trying again in" in told.text


@contextmanager
def for_reading(where: Where) -> Iterator[str]:
    """Return a URL by which nothing can be written."""
    if not where.is_postgres:
        yield f"{where.url}?mode=ro"
        return
    role = f"reader_{uuid4().hex[:12]}"
    where.query(f"CREATE ROLE {role} LOGIN")
    where.query(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    try:
        yield urlsplit(where.url)._replace(netloc=f"{role}@").geturl()
    finally:
        where.query(f"DROP OWNED BY {role}")
        where.query(f"DROP ROLE {role}")


def test_a_database_that_is_read_only_is_looked_at_but_not_run_on(where: Where) -> None:
    with DefaultRunner(where.url, runtime=Runtime()):
        pass
    with for_reading(where) as url:
        refuses_to_run_and_lists(url, "permission denied" if where.is_postgres else "must write")


def refuses_to_run_and_lists(url: str, problem: str) -> None:
    with pytest.raises(EngineError, match=problem):
        DefaultRunner(url, runtime=Runtime())
    gc.collect()  # which would complain of a connection that was left open
    looked = subprocess.run(
        [*CTL, "execution", "list", "--database", url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (looked.returncode, looked.stderr) == (0, "no executions\n")


def test_every_form_of_a_path_is_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    urls: list[str | Path] = [
        f"sqlite://{tmp_path}/a.db",
        "sqlite://./b.db",
        "sqlite://c.db?mode=rwc",
        "d.db",
        tmp_path / "e.db",
        Path("f.db"),
    ]
    for url in urls:
        DefaultRunner(url, runtime=Runtime()).shutdown()
    assert sorted(each.name for each in tmp_path.iterdir()) == [f"{name}.db" for name in "abcdef"]
    DefaultRunner("sqlite://./b.db?mode=rw", runtime=Runtime()).shutdown()
    for private in (":memory:", "sqlite://:memory:"):
        DefaultRunner(private, runtime=Runtime()).shutdown()
    assert len(list(tmp_path.iterdir())) == len(urls)
    with pytest.raises(InvalidUrlError, match="is of type int"):
        DefaultRunner(5)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(InvalidUrlError, match="names a directory"):
        DefaultRunner(tmp_path)
