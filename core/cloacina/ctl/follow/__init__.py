"""Show what happens to executions while it happens."""
