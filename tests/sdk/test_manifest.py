"""Manifests."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloacina_sdk.errors import InvalidManifestError, UnknownNameError
from cloacina_sdk.manifest import (
    ISOLATIONS,
    EntryRecord,
    Manifest,
    PackageRequirement,
    normalised_name,
)
from cloacina_sdk.retry import RetryPolicy
from cloacina_sdk.rules import parse_rule, task_success
from cloacina_sdk.spec import TaskSpec, WorkflowSpec

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,6}[a-z]", fullmatch=True)
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
SIZES = st.integers(0, 2**53 - 1)
TIMES = st.datetimes().map(lambda time: time.isoformat(timespec="seconds").zfill(19) + "Z")


def unique_by(key: Any) -> Any:
    return lambda strategy: st.lists(strategy, max_size=3, unique_by=key).map(tuple)


ENTRIES = st.builds(
    EntryRecord, name=NAMES.map(lambda name: f"payload/{name}"), size_bytes=SIZES, sha256=DIGESTS
)
REQUIREMENTS = st.builds(
    PackageRequirement,
    name=NAMES,
    specifier=TEXTS,
    digest=st.none() | DIGESTS.map(lambda digest: f"sha256:{digest}"),
)
FLOW = WorkflowSpec(
    name="flow",
    description="",
    tags=(("team", "data"),),
    tasks=(
        TaskSpec(id="a", dependencies=(), retry=RetryPolicy(), trigger_rule=None),
        TaskSpec(
            id="b",
            dependencies=("a",),
            retry=RetryPolicy(max_attempts=1),
            trigger_rule=parse_rule(task_success("a")),
            fingerprint="ab" * 32,
        ),
    ),
)
MANIFESTS = st.builds(
    Manifest,
    name=NAMES,
    version=st.from_regex(r"[0-9]+(\.[0-9]+){0,2}(rc1|\+local)?", fullmatch=True),
    release=SIZES,
    publisher=st.text("abc é-", min_size=1, max_size=9),
    description=TEXTS,
    authors=st.lists(TEXTS, max_size=2).map(tuple),
    created=TIMES,
    requires_host=TEXTS,
    requires_python=TEXTS,
    entries=unique_by(lambda entry: entry.name.lower())(ENTRIES),
    dependencies=unique_by(lambda needed: normalised_name(needed.name))(REQUIREMENTS),
    isolation=st.sampled_from(ISOLATIONS),
    capabilities=st.lists(st.sampled_from(["net:tcp", "fs:read"]), unique=True).map(tuple),
    min_signatures=st.integers(1, 16),
    modules=st.lists(st.sampled_from(["a", "a.b", "_c.d1"]), unique=True).map(tuple),
    workflows=st.sampled_from([(), (FLOW,)]),
)


def manifest() -> Manifest:
    return Manifest(
        name="acme-etl",
        version="1.0",
        release=3,
        publisher="acme",
        created="2024-05-01T12:00:00Z",
        expires="2025-05-01T12:00:00.5Z",
        modules=("acme.flows",),
        workflows=(FLOW,),
        entries=(EntryRecord(name="payload/x.whl", size_bytes=7, sha256="0" * 64),),
        dependencies=(PackageRequirement(name="other"),),
    )


def document() -> dict[str, Any]:
    return copy.deepcopy(json.loads(manifest().to_bytes()))


def problems_of(raw: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidManifestError) as caught:
        Manifest.from_document(raw)
    assert isinstance(caught.value, ValueError)
    return caught.value.problems


@given(MANIFESTS)
def test_a_manifest_comes_back_from_its_document_and_its_bytes(made: Manifest) -> None:
    assert Manifest.from_document(made.to_document()) == made
    assert Manifest.parse(made.to_bytes()) == made
    assert Manifest.parse(made.to_bytes()).to_bytes() == made.to_bytes()


def test_the_bytes_are_canonical_and_end_in_one_newline() -> None:
    raw = manifest().to_bytes()
    assert raw.endswith(b"}\n")
    assert (
        raw
        == (
            json.dumps(document(), sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
        ).encode()
    )
    assert raw.startswith(b'{"authors":[],"capabilities":[],"created":')
    assert document()["type"] == "cloacina-package"
    assert document()["format"] == 1


def objects_in(part: Any, path: str = "$") -> list[tuple[str, dict[str, Any]]]:
    """Return every closed object of a document with its path."""
    found = []
    if isinstance(part, dict):
        found = [(path, part)]
        for key, child in part.items():
            if key != "tags":
                found += objects_in(child, f"{path}.{key}")
    elif isinstance(part, list):
        for index, child in enumerate(part):
            found += objects_in(child, f"{path}[{index}]")
    return found


@given(st.data(), st.sampled_from(["x", "Name", "name ", "graphs", ""]))
def test_an_unknown_key_is_refused_in_every_object(data: st.DataObject, key: str) -> None:
    raw = document()
    path, place = data.draw(st.sampled_from(objects_in(raw)))
    place[key] = 1
    found = problems_of(raw)
    assert len(found) == 1
    assert found[0].startswith(path)
    assert found[0].endswith("is not a known key")


@given(st.data())
def test_a_missing_key_of_the_manifest_is_named(data: st.DataObject) -> None:
    raw = document()
    key = data.draw(st.sampled_from(sorted(raw.keys() - {"expires"})))
    del raw[key]
    assert problems_of(raw) == (f"$.{key} is missing",)


WRONG: list[tuple[str, Any, str]] = [
    ("type", "other", "$.type must be one of cloacina-package, not 'other'"),
    ("format", 2, "$.format must be 1 to 1, not 2"),
    ("format", True, "$.format must be an integer, not a boolean"),
    ("name", "-x", "$.name must be"),
    ("name", "a b", "$.name must be"),
    ("name", "a\n", "$.name must be"),
    ("name", "", "$.name must be"),
    ("version", "1!2", "$.version must be a version without an epoch"),
    ("release", -1, "$.release must be 0 to 9007199254740991, not -1"),
    ("release", 2**53, "$.release must be 0 to"),
    ("release", 10**4000, "$.release must be 0 to 9007199254740991, not a far larger one"),
    ("release", 1.0, "$.release must be an integer, not a number"),
    ("publisher", "", "$.publisher must be one line"),
    ("publisher", "a\nb", "$.publisher must be one line"),
    ("authors", "me", "$.authors must be an array, not a string"),
    ("authors", [1], "$.authors[0] must be a string, not an integer"),
    ("created", "2024-05-01", "$.created must be a time in UTC"),
    ("created", "2024-13-01T00:00:00Z", "$.created must be a time in UTC"),
    ("created", "2024-05-01T12:00:00+00:00", "$.created must be a time in UTC"),
    ("created", None, "$.created must be a string, not null"),
    ("expires", "never", "$.expires must be a time in UTC"),
    ("expires", 0, "$.expires must be a string, not an integer"),
    ("expires", "2024-05-01T12:00:00Z", "$.expires must be later than $.created"),
    ("isolation", "none", "$.isolation must be one of process, inprocess, hardened"),
    ("isolation", None, "$.isolation must be a string, not null"),
    ("capabilities", ["NET"], "$.capabilities[0] is 'NET'"),
    ("capabilities", ["a", "a"], "$.capabilities names 'a' more than once"),
    ("min_signatures", 0, "$.min_signatures must be 1 to 16, not 0"),
    ("min_signatures", 17, "$.min_signatures must be 1 to 16, not 17"),
    ("modules", ["a-b"], "$.modules[0] is 'a-b'"),
    ("modules", ["a..b"], "$.modules[0] is 'a..b'"),
    ("entries", {}, "$.entries must be an array, not an object"),
    ("entries", [1], "$.entries[0] must be an object, not an integer"),
    ("dependencies", [{"name": "a"}], "$.dependencies[0].specifier is missing"),
    ("workflows", None, "$.workflows must be an array, not null"),
    ("description", None, "$.description must be a string, not null"),
]


@pytest.mark.parametrize(("key", "value", "problem"), WRONG)
def test_a_wrong_value_is_refused_with_its_path(key: str, value: Any, problem: str) -> None:
    found = problems_of({**document(), key: value})
    assert len(found) == 1
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    "name",
    [
        *("/a", "a/../b", "a//b", ".a", "a/.b", "a\\b", "a/b/c/d/e", "ä", "", "a" * 201, "a\n"),
        *("manifest.json", "Signatures.JSON"),
    ],
)
def test_names_of_entries_are_tame(name: str) -> None:
    raw = document()
    raw["entries"][0]["name"] = name
    assert problems_of(raw)[0].startswith("$.entries[0].name must")


@pytest.mark.parametrize(
    ("key", "value"),
    [("size_bytes", -1), ("size_bytes", True), ("sha256", "0" * 63), ("sha256", "A" * 64)],
)
def test_sizes_and_digests_of_entries_are_checked(key: str, value: Any) -> None:
    raw = document()
    raw["entries"][0][key] = value
    assert problems_of(raw)[0].startswith(f"$.entries[0].{key} must be")


def test_names_are_unique_as_they_are_compared() -> None:
    raw = document()
    raw["entries"].append({**raw["entries"][0], "name": "PAYLOAD/x.whl"})
    raw["dependencies"] += [{**raw["dependencies"][0], "name": name} for name in ("a_b", "A.b")]
    raw["workflows"] *= 2
    assert problems_of(raw) == (
        "$.entries names 'payload/x.whl' more than once",
        "$.dependencies names 'a-b' more than once",
        "$.workflows names 'flow' more than once",
    )


def test_a_digest_pin_has_its_prefix() -> None:
    raw = document()
    raw["dependencies"][0]["digest"] = "0" * 64
    assert problems_of(raw)[0].startswith("$.dependencies[0].digest must be sha256:")
    raw["dependencies"][0]["digest"] = "sha256:" + "0" * 64
    assert Manifest.from_document(raw).dependencies[0].digest == "sha256:" + "0" * 64


def test_workflows_inside_are_validated_with_their_path() -> None:
    raw = document()
    raw["workflows"][0]["tasks"][1]["dependencies"] = ["ghost", "b"]
    assert problems_of(raw) == (
        "$.workflows[0]: task 'b' depends on 'ghost', which does not exist",
        "$.workflows[0]: task 'b' depends on itself",
        "$.workflows[0]: the trigger rule of task 'b' names 'a', on which it does not depend: "
        "add it to dependencies",
    )


def test_every_problem_is_collected() -> None:
    raw = document()
    raw |= {"release": True, "isolation": "x", "min_signatures": 0, "extra": 1}
    raw["workflows"][0]["tasks"][0]["retry"]["jitter"] = 1
    raw["entries"][0]["sha256"] = ""
    assert len(problems_of(raw)) == 6
    with pytest.raises(InvalidManifestError, match=r"\n  - \$\.release"):
        Manifest.from_document(raw)


@pytest.mark.parametrize("raw", [None, [], "x", 1])
def test_only_an_object_is_a_manifest(raw: Any) -> None:
    assert problems_of(raw)[0].startswith("$ must be an object")
    assert len(problems_of(raw)) == 1


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b'{"type":1,"type":2}', "stands twice"),
        (b"\xff", "is not UTF-8"),
        (b"{", "is not valid JSON"),
        (b'{"release":NaN}', "NaN"),
        (b'{"release":' + b"9" * 5000 + b"}", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b" " * (1024 * 1024 + 1), "more than 1048576"),
    ],
)
def test_hostile_bytes_are_refused_as_a_manifest(raw: bytes, problem: str) -> None:
    with pytest.raises(InvalidManifestError, match=problem):
        Manifest.parse(raw)


def test_a_workflow_is_found_by_name() -> None:
    assert manifest().workflow("flow") is FLOW
    with pytest.raises(UnknownNameError, match="no workflow 'x'; known are: flow"):
        manifest().workflow("x")


@pytest.mark.parametrize("name", ["Acme.ETL", "acme_etl", "acme--etl", "ACME-._etl"])
def test_names_are_compared_in_one_form(name: str) -> None:
    assert normalised_name(name) == "acme-etl"
