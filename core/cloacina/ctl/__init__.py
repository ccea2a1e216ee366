"""The command line, ``cloacina-ctl``: it translates, and decides nothing that the engine could.

A command is a module, imported when the command is used; what several need has modules of its own.
"""
