"""Projects for tests: written from scratch, copied from the samples, and packages run."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from cloacina_build.package import BuiltPackage
from cloacina_native.run_request import RunRequest
from cloacina_native.worker_process import WorkerProcess
from cloacina_sdk.changes import Changes
from cloacina_sdk.graph import topological_order
from cloacina_sdk.json_text import JsonValue, decode, encode
from cloacina_signing.archive import read_archive
from cloacina_signing.wheel_reader import Wheel, read_wheel

SAMPLES = Path(__file__).resolve().parents[2] / "sample_plugins"

GREET = '''
from cloacina_sdk import task, workflow

@workflow
class Greeting:
    """Says hello."""

    @task
    def choose(context):
        context["name"] = "world"

    @task(dependencies=["choose"])
    def greet(context):
        context["greeting"] = "hello " + context["name"]
'''

PROJECT = '[project]\nname = "acme-greet"\nversion = "1.2.0"\n'
TABLE = '[tool.cloacina]\nmodules = ["acme_greet"]\n'


def a_project(
    directory: Path,
    *,
    project: str = PROJECT,
    table: str = TABLE,
    packages: str = '["acme_greet"]',
    module: str = GREET,
) -> Path:
    """Write a project of one pure module, parts of whose pyproject.toml may be given."""
    (directory / "acme_greet").mkdir(parents=True)
    (directory / "acme_greet" / "__init__.py").write_text(module, "utf-8")
    (directory / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        f"{project}[tool.setuptools]\npackages = {packages}\n{table}",
        "utf-8",
    )
    return directory


def a_copy(sample: str, directory: Path) -> Path:
    """Copy a sample; the modes of the copies follow the mask that is set."""
    return Path(shutil.copytree(SAMPLES / sample, directory, copy_function=shutil.copyfile))


def wheel_in(raw: bytes) -> Wheel:
    """Return the one payload of a package."""
    entries = read_archive(raw).entries
    (name,) = [name for name in entries if name.startswith("payload/")]
    return read_wheel(name.removeprefix("payload/"), entries[name])


def run_workflow(
    built: BuiltPackage, unpacked: Path, context: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """Run the package's one workflow in a worker, task by task, and return the last context."""
    (workflow,) = built.manifest.workflows
    texts = {key: encode(value) for key, value in context.items()}
    with WorkerProcess.start(unpacked, name=built.manifest.name, environment={}) as worker:
        worker.load(built.manifest.name, built.manifest.modules)
        for task in topological_order(workflow.graph()):
            request = RunRequest(
                token=task,
                workflow=workflow.name,
                task=task,
                attempt=1,
                execution_id="execution",
                texts=texts,
            )
            outcome = worker.run(request, lambda _line: None)
            assert isinstance(outcome, Changes), outcome
            texts = {key: text for key, text in texts.items() if key not in outcome.removed}
            texts.update(outcome.assigned)
    return {key: decode(text) for key, text in texts.items()}
