"""A sample package: collect orders, process them and report."""

from simple_demo.workflow import DataProcessing

__all__ = ["DataProcessing"]
