"""What can happen to one execution: each function here changes it, and records what it changed."""
