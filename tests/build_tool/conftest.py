"""The two samples, built once for all tests."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from cloacina_build.package import BuiltPackage, build_package
from cloacina_build.payload import unpack

from .projects import a_copy, wheel_in


@dataclass(frozen=True)
class BuiltSample:
    """A sample's package, and the directory that its wheel is unpacked to."""

    package: BuiltPackage
    unpacked: Path


@pytest.fixture(scope="session")
def simple_demo(tmp_path_factory: pytest.TempPathFactory) -> BuiltSample:
    return _built("simple_demo", tmp_path_factory)


@pytest.fixture(scope="session")
def source_census(tmp_path_factory: pytest.TempPathFactory) -> BuiltSample:
    return _built("source_census", tmp_path_factory)


def _built(sample: str, factory: pytest.TempPathFactory) -> BuiltSample:
    # a copy lies in no work tree, whose last commit would set the time of the build
    package = build_package(a_copy(sample, factory.mktemp("source") / sample))
    unpacked = factory.mktemp(sample)
    unpack(wheel_in(package.raw).files, unpacked)
    return BuiltSample(package, unpacked)
