"""A runner that joins the others on a database for a moment, to ask something or to listen.

It offers no workflow, so that it begins nothing, and it tidies nothing up.
"""

from cloacina.ctl.settings import Settings
from cloacina.packages.config import PackageConfig
from cloacina.runner.runner import DefaultRunner
from cloacina.runner.sources import Configuration
from cloacina.runtime import Runtime


def visitor(settings: Settings, configuration: Configuration) -> DefaultRunner:
    """Return such a runner; it is to be shut down."""
    return DefaultRunner(
        configuration.location,
        config=configuration.config.copy(retention_seconds=None),
        runtime=Runtime(),
        packages=PackageConfig(home=settings.home.path),
    )
