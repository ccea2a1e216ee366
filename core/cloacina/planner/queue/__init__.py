"""Who may run and when: slots and the queue for them, limits that runners share, what is due."""
