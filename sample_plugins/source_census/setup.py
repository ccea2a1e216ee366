"""Compile the extension module; everything else stands in pyproject.toml."""

from setuptools import setup

setup(
    cffi_modules=["build_native.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},  # one wheel for 3.11 and later
)
