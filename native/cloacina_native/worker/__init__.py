"""What runs inside a worker process; `__main__` is its beginning."""
