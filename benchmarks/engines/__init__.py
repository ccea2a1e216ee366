"""One module per engine: ``open_engine(directory, url, variant)`` returns it, running.

``directory`` is empty and on disk; ``url`` is of an empty PostgreSQL database, or ``None`` for an
engine that keeps its state in a file.
"""
