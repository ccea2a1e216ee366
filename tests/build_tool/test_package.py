"""From a project to the bytes of a package, and every way in which that fails."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from cloacina_build import BuildError, build_package
from cloacina_build.errors import (
    BackendError,
    InvalidProjectError,
    PackageImportError,
    WorkerError,
)
from cloacina_build.package import prepare
from cloacina_sdk.manifest import Manifest
from cloacina_signing.archive import MANIFEST, SIGNATURES, package_digest, read_archive
from cloacina_signing.dsse import MANIFEST_TYPE
from cloacina_signing.keys import PrivateKey
from cloacina_signing.signatures import SignatureSet

from .projects import GREET, PROJECT, TABLE, a_copy, a_project, wheel_in


def tree(directory: Path) -> dict[str, bytes | None]:
    paths = sorted(directory.rglob("*"))
    return {str(path): path.read_bytes() if path.is_file() else None for path in paths}


def test_a_package_holds_its_manifest_and_its_wheel(tmp_path: Path) -> None:
    project = (
        f'{PROJECT}description = "Greets"\nrequires-python = ">=3.11"\ndependencies = '
        '["cloacina-sdk"]\nauthors = [{name = "Ann"}, {name = "Bob", email = "bob@acme.example"}]\n'
    )
    built = build_package(a_project(tmp_path / "greet", project=project))

    archive = read_archive(built.raw)
    wheel_name = "payload/acme_greet-1.2.0-py3-none-any.whl"
    assert list(archive.entries) == [MANIFEST, wheel_name]
    assert built.digest == package_digest(archive.manifest)
    manifest = Manifest.parse(archive.manifest)
    assert manifest == built.manifest
    (entry,) = manifest.entries
    assert entry.name == wheel_name
    assert entry.size_bytes == len(archive.entries[wheel_name])
    assert entry.sha256 == sha256(archive.entries[wheel_name]).hexdigest()
    assert (manifest.name, manifest.version) == ("acme-greet", "1.2.0")
    assert (manifest.release, manifest.publisher) == (1_0002_0000_4000, "local")
    assert (manifest.description, manifest.authors) == ("Greets", ("Ann", "Bob <bob@acme.example>"))
    assert (manifest.requires_host, manifest.requires_python) == (">=0.1", ">=3.11")
    assert (manifest.isolation, manifest.min_signatures) == ("process", 1)
    assert manifest.created == "1980-01-01T00:00:00Z"
    (workflow,) = manifest.workflows
    assert workflow.name == "greeting"
    assert workflow.graph() == {"choose": (), "greet": ("choose",)}
    assert all(task.fingerprint for task in workflow.tasks)


def test_the_names_of_package_and_wheel_may_differ(tmp_path: Path) -> None:
    built = build_package(a_project(tmp_path, table=f'{TABLE}package = "other"\nrelease = 3\n'))
    assert (built.manifest.name, built.manifest.release) == ("other", 3)
    assert wheel_in(built.raw).distribution == "acme_greet"


def test_a_package_can_be_signed_as_it_is_built(tmp_path: Path) -> None:
    key = PrivateKey.generate("ann")
    project = a_project(tmp_path)
    built = build_package(project, sign_with=key)

    archive = read_archive(built.raw)
    assert archive.signatures is not None
    signatures = SignatureSet.parse(bytes(archive.signatures))
    known = {key.public.key_id: key.public}
    assert signatures.verified_key_ids(archive.manifest, MANIFEST_TYPE, known) == set(known)
    assert list(archive.entries)[-1] == SIGNATURES
    assert built.digest == build_package(project).digest


def test_the_authors_tree_stays_as_it_was(tmp_path: Path) -> None:
    project = a_copy("source_census", tmp_path / "census")
    before = tree(project)
    build_package(project)
    assert tree(project) == before


def test_what_an_earlier_build_left_is_not_packed(tmp_path: Path) -> None:
    project = a_project(tmp_path)
    clean = build_package(project)
    leftovers = (
        "build/lib/acme_greet/old.py",
        "acme_greet/__pycache__/x.pyc",
        "acme_greet/env/pyvenv.cfg",
        "old.cloacina",
    )
    for left in leftovers:
        (project / left).parent.mkdir(parents=True, exist_ok=True)
        (project / left).write_text("raise SystemExit")
    assert build_package(project).raw == clean.raw


def test_a_version_may_be_dynamic(tmp_path: Path) -> None:
    project = a_project(
        tmp_path,
        project='[project]\nname = "acme-greet"\ndynamic = ["version"]\n',
        table=f'{TABLE}[tool.setuptools.dynamic]\nversion = {{file = "VERSION"}}\n',
    )
    (project / "VERSION").write_text("2.5.1\n")
    manifest = build_package(project).manifest
    assert (manifest.version, manifest.release) == ("2.5.1", 2_0005_0001_4000)
    (project / "VERSION").write_text("2.5.1.4\n")
    with pytest.raises(BuildError, match="more than three numbers"):
        build_package(project)


def test_what_a_dynamic_dependency_needs_is_checked_too(tmp_path: Path) -> None:
    project = a_project(
        tmp_path,
        project=f'{PROJECT}dynamic = ["dependencies"]\n',
        table=f'{TABLE}[tool.setuptools.dynamic]\ndependencies = {{file = "needed.txt"}}\n',
    )
    (project / "needed.txt").write_text("requests\n")
    with pytest.raises(InvalidProjectError, match="'requests', which no worker has"):
        build_package(project)


def test_a_cycle_is_told_as_the_sdk_tells_it(tmp_path: Path) -> None:
    module = GREET.replace("@task\n", '@task(dependencies=["greet"])\n', 1)
    with pytest.raises(PackageImportError) as caught:
        build_package(a_project(tmp_path, module=module))
    assert "choose -> greet -> choose" in caught.value.reason
    assert caught.value.reason.startswith("Workflow 'greeting' is not valid")


def test_a_module_that_shadows_the_standard_library_is_refused(tmp_path: Path) -> None:
    project = a_project(tmp_path, packages='["acme_greet", "json"]')
    (project / "json").mkdir()
    (project / "json" / "__init__.py").write_text("")
    with pytest.raises(InvalidProjectError, match="'json' shadows the standard library"):
        build_package(project)


def test_a_compilers_error_is_shown(tmp_path: Path) -> None:
    project = a_copy("source_census", tmp_path / "census")
    scanner = project / "native" / "scanner.c"
    scanner.write_text(scanner.read_text().replace("calloc(1, sizeof *self);", "calloc(1;"))
    with pytest.raises(BackendError, match="building the wheel failed") as caught:
        build_package(project)
    first, *rest = caught.value.output.splitlines()
    assert first.strip().startswith("native/scanner.c:46:")
    assert "error: expected ')' before ';' token" in first
    assert 1 < len(rest) < 20


def test_a_file_that_cannot_be_copied_is_named(tmp_path: Path) -> None:
    project = a_project(tmp_path)
    (project / "dangling").symlink_to("nowhere")
    with pytest.raises(InvalidProjectError, match="dangling cannot be copied"):
        build_package(project)


def test_without_a_worker_nothing_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = a_project(tmp_path)
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    with pytest.raises(WorkerError, match=r"cannot be imported to be described: .*no-python"):
        build_package(project)


def test_a_malformed_build_system_is_refused(tmp_path: Path) -> None:
    project = a_project(tmp_path)
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(text.replace('["setuptools"]', '"setuptools"'))
    with pytest.raises(InvalidProjectError, match="`requires` must be an array"):
        build_package(project)


def test_a_backend_that_is_missing_here_is_fetched_into_an_environment_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    project = a_project(tmp_path)
    text = (project / "pyproject.toml").read_text()
    missing = "acme-backend-that-is-nowhere"
    (project / "pyproject.toml").write_text(text.replace('["setuptools"]', f'["{missing}"]'))
    said: list[str] = []
    with pytest.raises(
        BackendError, match=f"installing what the build requires .{missing}"
    ) as caught:
        build_package(project, say=said.append)
    assert f"building in an isolated environment, as {missing} is not installed here" in said
    assert f"pip install {missing}" in caught.value.next_step


def test_a_warning_of_the_backend_is_said_and_stops_nothing(tmp_path: Path) -> None:
    project = a_project(tmp_path)
    (project / "setup.py").write_text(
        "import warnings\nfrom setuptools import setup\nwarnings.warn('take care')\nsetup()\n"
    )
    said: list[str] = []
    assert prepare(project, say=said.append).manifest.workflows
    assert any("take care" in line for line in said)
    assert "building with what is installed here; nothing is fetched" in said


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, cloacina_build.commands\n"
        "heavy = {'build', 'packaging', 'cryptography', 'cloacina_signing', 'cloacina_native', "
        "'tomllib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
