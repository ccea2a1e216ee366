"""Run the tasks of packages in worker processes; the modules below are the interface.

Importing this package loads nothing: workers import it too, and start quickly.
"""
