"""One module per engine: ``open_engine(directory, concurrency, variant)`` returns it, running."""
