"""``cloacina-ctl execution``: one module for each of its commands."""
