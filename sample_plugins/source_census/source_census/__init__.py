"""A sample package: take a census of a tree of Python source, natively and in parallel."""

from source_census.workflow import census

__all__ = ["census"]
