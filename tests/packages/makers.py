"""Make packages for tests without building a project: a wheel from sources, a manifest, a key."""

import hashlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from cloacina.packages.host import this_host
from cloacina_sdk.collect import Collection, collecting, workflows_of
from cloacina_sdk.manifest import EntryRecord, Manifest
from cloacina_sdk.spec import WorkflowSpec
from cloacina_signing.archive import (
    MANIFEST,
    SIGNATURES,
    entry_order,
    package_digest,
    read_archive,
    with_signatures,
    write_archive,
)
from cloacina_signing.canonical_wheel import canonical_wheel
from cloacina_signing.dsse import MANIFEST_TYPE
from cloacina_signing.keys import PrivateKey
from cloacina_signing.signatures import SignatureSet
from cloacina_signing.trust import Grant, TrustedKey, TrustFile, initial

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOST = this_host()
AUTHOR = PrivateKey.generate("author")
ROOT = PrivateKey.generate("root")

GREETER = """
from cloacina_sdk import task, workflow

WORD = {word!r}

@workflow(name="greet")
class Greet:
    @task(retry_attempts=1)
    def greet(context):
        context["greeting"] = WORD + " " + context["name"]

    @task(dependencies=[greet], retry_attempts=1)
    def shout(context):
        context["greeting"] = context["greeting"].upper()
"""


def a_wheel(files: Mapping[str, bytes], *, name: str, version: str, tag: str) -> bytes:
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    pure = "true" if tag == "py3-none-any" else "false"
    wheel = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {pure}\nTag: {tag}\n".encode()
    everything = {**files, f"{info}/METADATA": metadata, f"{info}/WHEEL": wheel}
    return canonical_wheel(everything, info)


def offered_by(source: str, module: str, folder: Path) -> tuple[WorkflowSpec, ...]:
    """What a worker would find in ``source``, found here by running it as a module."""
    # a path of its own: readers of source remember what a path held
    path = Path(tempfile.mkdtemp(dir=folder)) / f"{module}.py"
    path.write_text(source)
    made = ModuleType(module)
    made.__file__ = str(path)
    sys.modules[module] = made
    try:
        with collecting(Collection()) as collection:
            exec(compile(source, str(path), "exec"), made.__dict__)  # noqa: S102 - our own source
            found = workflows_of(made, name=module, recorded=collection.workflows())
        return tuple(workflow.spec for workflow in found)
    finally:
        del sys.modules[module]


def a_package(  # noqa: PLR0913 - a builder offers every knob
    folder: Path,
    source: str = GREETER.format(word="hello"),
    *,
    name: str = "greeter",
    version: str = "1.0",
    module: str = "greeter_tasks",
    tag: str = "py3-none-any",
    workflows: tuple[WorkflowSpec, ...] | None = None,
    keys: Sequence[PrivateKey] = (AUTHOR,),
    extra_entries: Sequence[tuple[str, bytes]] = (),
    **manifest: object,
) -> bytes:
    """Return a package file of one module, signed by ``keys``."""
    distribution = name.replace("-", "_")
    wheel = a_wheel({f"{module}.py": source.encode()}, name=distribution, version=version, tag=tag)
    payload = f"payload/{distribution}-{version}-{tag}.whl"
    entries = [(payload, wheel), *extra_entries]
    fields: dict[str, object] = {
        "name": name,
        "version": version,
        "release": 1,
        "publisher": "acme",
        "created": "2025-06-01T00:00:00Z",
        "modules": (module,),
        "workflows": offered_by(source, module, folder) if workflows is None else workflows,
        "entries": tuple(
            EntryRecord(
                name=entry, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
            )
            for entry, content in entries
        ),
        **manifest,
    }
    raw = Manifest(**fields).to_bytes()  # type: ignore[arg-type]  # a test may break a field
    return pack(raw, entries, keys)


def pack(
    manifest: bytes, entries: Sequence[tuple[str, bytes]], keys: Sequence[PrivateKey]
) -> bytes:
    signatures = SignatureSet()
    for key in keys:
        signatures = signatures.with_signature(key, MANIFEST_TYPE, manifest)
    everything = [(MANIFEST, manifest), *entries]
    if keys:
        everything.append((SIGNATURES, signatures.to_bytes()))
    return write_archive(sorted(everything, key=lambda entry: entry_order(entry[0])))


def without_signatures(raw: bytes) -> bytes:
    return with_signatures(read_archive(raw), None)


def digest_of(raw: bytes) -> str:
    return package_digest(read_archive(raw).manifest)


def a_trust(
    *keys: PrivateKey, pattern: str = "greet*", publisher: str = "acme", threshold: int = 1
) -> TrustFile:
    trusted = [TrustedKey(public=key.public, owner=key.name) for key in keys or (AUTHOR,)]
    grant = Grant(
        pattern=pattern,
        publisher=publisher,
        key_ids=tuple(one.public.key_id for one in trusted),
        threshold=threshold,
    )
    return initial(ROOT).with_grant(grant, keys=trusted)
