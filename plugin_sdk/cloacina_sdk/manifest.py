"""The manifest of a package: what it is, what it holds and what it offers, as signed data.

* The form is closed: an unknown key is refused at every depth, and a boolean is no integer.
* Every problem is collected with its JSON path before the manifest is refused.
* Versions and requirements are texts here; only a host that has PEP 440 at hand reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from cloacina_sdk.document import Fields
from cloacina_sdk.errors import (
    InvalidJsonError,
    InvalidManifestError,
    InvalidWorkflowError,
    UnknownNameError,
)
from cloacina_sdk.json_text import JsonValue, canonical, decode_untrusted
from cloacina_sdk.spec import WorkflowSpec, read_workflow

ISOLATIONS: Final = ("process", "inprocess", "hardened")
MOST_SIGNATURES: Final = 16
SIZE_LIMIT_BYTES: Final = 1024 * 1024

_LARGEST = 2**53 - 1  # the largest integer that every JSON reader keeps exactly
_UNLISTED = frozenset({"manifest.json", "signatures.json"})
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,99}")
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,200}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z", re.ASCII)
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_CAPABILITY = re.compile(r"[a-z][a-z0-9._:/-]{0,99}")
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9._+-]*"
_ENTRY = re.compile(rf"(?=.{{1,200}}\Z){_SEGMENT}(/{_SEGMENT}){{0,3}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRecord:
    """One entry of the archive, as the manifest binds it."""

    name: str
    size_bytes: int
    sha256: str

    def to_document(self) -> dict[str, JsonValue]:
        """Return the JSON form."""
        return {"name": self.name, "size_bytes": self.size_bytes, "sha256": self.sha256}


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRequirement:
    """Another package that this one needs.

    Attributes:
        specifier: a PEP 440 specifier, or "" for any version.
        digest: `sha256:<hex>` if only that very package will do.
    """

    name: str
    specifier: str = ""
    digest: str | None = None

    def to_document(self) -> dict[str, JsonValue]:
        """Return the JSON form."""
        return {"name": self.name, "specifier": self.specifier, "digest": self.digest}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that the publisher of a package signs.

    Attributes:
        name: as written; compare names by `normalised_name`.
        version: PEP 440 without an epoch.
        release: grows with every publication, so that a rollback is noticed.
        created: RFC 3339 in UTC, such as `2024-05-01T12:00:00Z`.
        expires: in the same form, or None for a package that never does.
        requires_host: a PEP 440 specifier, or "" for any.
        requires_python: likewise.
        entries: every entry of the archive but the manifest and the signatures.
        isolation: "process", "inprocess" or "hardened".
        min_signatures: how many distinct trusted keys must have signed.
        modules: what a worker imports to find the tasks' functions.
    """

    type: ClassVar[str] = "cloacina-package"
    format: ClassVar[int] = 1

    name: str
    version: str
    release: int
    publisher: str
    created: str
    modules: tuple[str, ...]
    workflows: tuple[WorkflowSpec, ...]
    entries: tuple[EntryRecord, ...] = ()
    description: str = ""
    authors: tuple[str, ...] = ()
    expires: str | None = None
    requires_host: str = ""
    requires_python: str = ""
    dependencies: tuple[PackageRequirement, ...] = ()
    isolation: str = "process"
    capabilities: tuple[str, ...] = ()
    min_signatures: int = 1

    @classmethod
    def parse(cls, raw: bytes) -> Manifest:
        """Read the bytes of a `manifest.json`: strict UTF-8, at most 1 MiB, no key twice.

        Raises:
            InvalidManifestError: with every reason.
        """
        if len(raw) > SIZE_LIMIT_BYTES:
            raise InvalidManifestError([f"$ has {len(raw)} bytes, more than {SIZE_LIMIT_BYTES}"])
        try:
            document = decode_untrusted(raw)
        except InvalidJsonError as error:
            raise InvalidManifestError([f"$ is not valid JSON: {error.reason}"]) from error
        return cls.from_document(document)

    @classmethod
    def from_document(cls, document: JsonValue) -> Manifest:
        """Read what `to_document` wrote, and validate every workflow in it.

        Raises:
            InvalidManifestError: with every problem and its JSON path.
        """
        problems: list[str] = []
        manifest = _read(Fields(document, "$", problems))
        if problems:
            raise InvalidManifestError(problems)
        return manifest

    def to_document(self) -> dict[str, JsonValue]:
        """Return the JSON form; every key is present."""
        return {
            "type": self.type,
            "format": self.format,
            "name": self.name,
            "version": self.version,
            "release": self.release,
            "publisher": self.publisher,
            "description": self.description,
            "authors": list(self.authors),
            "created": self.created,
            "expires": self.expires,
            "requires_host": self.requires_host,
            "requires_python": self.requires_python,
            "entries": [entry.to_document() for entry in self.entries],
            "dependencies": [needed.to_document() for needed in self.dependencies],
            "isolation": self.isolation,
            "capabilities": list(self.capabilities),
            "min_signatures": self.min_signatures,
            "modules": list(self.modules),
            "workflows": [workflow.to_document() for workflow in self.workflows],
        }

    def to_bytes(self) -> bytes:
        """Return the bytes of `manifest.json`, which are what is signed."""
        return canonical(self.to_document()) + b"\n"

    def workflow(self, name: str) -> WorkflowSpec:
        """Return the workflow of a name.

        Raises:
            UnknownNameError: if there is none.
        """
        for workflow in self.workflows:
            if workflow.name == name:
                return workflow
        raise UnknownNameError("workflow", name, [workflow.name for workflow in self.workflows])


def normalised_name(name: str) -> str:
    """Return the form in which names of packages are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _read(fields: Fields) -> Manifest:
    fields.choice("type", (Manifest.type,))
    fields.integer("format", lowest=Manifest.format, highest=Manifest.format)
    manifest = Manifest(
        name=fields.text("name", form=_NAME, expected="a name of letters, digits, '.', '_', '-'"),
        version=fields.text("version", form=_VERSION, expected="a version without an epoch"),
        release=fields.integer("release", highest=_LARGEST),
        publisher=fields.text(
            "publisher", form=_LINE, expected="one line of at most 200 characters"
        ),
        description=fields.text("description"),
        authors=fields.texts("authors"),
        created=_read_time(fields, "created", fields.text("created")),
        expires=_read_expiry(fields),
        requires_host=fields.text("requires_host"),
        requires_python=fields.text("requires_python"),
        entries=_read_entries(fields),
        dependencies=_read_dependencies(fields),
        isolation=fields.choice("isolation", ISOLATIONS),
        capabilities=_read_names(fields, "capabilities", _CAPABILITY),
        min_signatures=fields.integer("min_signatures", lowest=1, highest=MOST_SIGNATURES),
        modules=_read_names(fields, "modules", _MODULE),
        workflows=_read_workflows(fields),
    )
    fields.close()
    _check_lifetime(manifest, fields.problems)
    return manifest


def _read_time(fields: Fields, key: str, text: str) -> str:
    if text and _moment(text) is None:
        expected = "a time in UTC such as 2024-05-01T12:00:00Z"
        fields.problems.append(f"{fields.path_of(key)} must be {expected}, not {text[:60]!r}")
    return text


def _read_expiry(fields: Fields) -> str | None:
    text = fields.optional_text("expires")
    return None if text is None else _read_time(fields, "expires", text)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        return None


def _check_lifetime(manifest: Manifest, problems: list[str]) -> None:
    created, expires = _moment(manifest.created), _moment(manifest.expires or "")
    if created and expires and expires <= created:
        problems.append("$.expires must be later than $.created")


def _read_names(fields: Fields, key: str, form: re.Pattern[str]) -> tuple[str, ...]:
    names = fields.texts(key)
    for index, name in enumerate(names):
        if not form.fullmatch(name):
            path = f"{fields.path_of(key)}[{index}]"
            fields.problems.append(
                f"{path} is {name[:60]!r}, which is not of the form {form.pattern}"
            )
    _refuse_repeated(fields, key, names)
    return names


def _refuse_repeated(fields: Fields, key: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            fields.problems.append(f"{fields.path_of(key)} names {name!r} more than once")
        seen.add(name)


def _read_entries(fields: Fields) -> tuple[EntryRecord, ...]:
    entries = tuple(_read_entry(entry) for entry in fields.each("entries"))
    _refuse_repeated(fields, "entries", (entry.name.lower() for entry in entries if entry.name))
    return entries


def _read_entry(fields: Fields) -> EntryRecord:
    entry = EntryRecord(
        name=fields.text("name", form=_ENTRY, expected="a relative path of at most four segments"),
        size_bytes=fields.integer("size_bytes", highest=_LARGEST),
        sha256=fields.text("sha256", form=_SHA256, expected="64 lower-case hexadecimal digits"),
    )
    if entry.name.lower() in _UNLISTED:
        fields.problems.append(f"{fields.path_of('name')} must not be {entry.name!r}")
    fields.close()
    return entry


def _read_dependencies(fields: Fields) -> tuple[PackageRequirement, ...]:
    needed = tuple(_read_requirement(one) for one in fields.each("dependencies"))
    _refuse_repeated(
        fields, "dependencies", (normalised_name(one.name) for one in needed if one.name)
    )
    return needed


def _read_requirement(fields: Fields) -> PackageRequirement:
    requirement = PackageRequirement(
        name=fields.text("name", form=_NAME, expected="a name of letters, digits, '.', '_', '-'"),
        specifier=fields.text("specifier"),
        digest=fields.optional_text("digest", form=_DIGEST, expected="sha256: and 64 hex digits"),
    )
    fields.close()
    return requirement


def _read_workflows(fields: Fields) -> tuple[WorkflowSpec, ...]:
    workflows: list[WorkflowSpec] = []
    for raw in fields.each("workflows"):
        before = len(fields.problems)
        workflow = read_workflow(raw)
        workflows.append(workflow)
        if len(fields.problems) > before:
            continue  # a stand-in: what else it breaks would only confuse
        try:
            workflow.validate()
        except InvalidWorkflowError as error:
            fields.problems.extend(f"{raw.path}: {problem}" for problem in error.problems)
    _refuse_repeated(fields, "workflows", (one.name for one in workflows if one.name))
    return tuple(workflows)
