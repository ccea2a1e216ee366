"""What an application holds: the runner, handles to executions, and their results."""
