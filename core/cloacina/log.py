"""Loggers whose callers survive what an application's filters and handlers raise."""

import logging
import sys
import traceback
from typing import Any, final


@final
class Logger(logging.LoggerAdapter[logging.Logger]):
    """A logger that passes everything on, and prints what that raises, as ``logging`` itself does."""

    def __init__(self, name: str) -> None:
        """Log as ``logging.getLogger(name)``."""
        super().__init__(logging.getLogger(name))

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log, and never raise: the thread may be the engine's only one."""
        if not self.isEnabledFor(level):
            return
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1  # this frame is not the caller
        try:
            self.logger.log(level, msg, *args, **kwargs)
        except Exception:  # noqa: BLE001 - filters and handlers are the application's
            if logging.raiseExceptions and sys.stderr is not None:
                traceback.print_exc(file=sys.stderr)
