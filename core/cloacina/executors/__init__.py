"""Where attempts run: threads and an event loop for embedded tasks, worker processes for packages."""
