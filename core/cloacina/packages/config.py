"""How a runner treats packages."""

from dataclasses import dataclass, field
from pathlib import Path

from cloacina.packages.home import Home
from cloacina_signing.trust import TrustFile


@dataclass(frozen=True, kw_only=True)
class PackageConfig:
    """Whom a runner trusts with packages, and how it runs them.

    Attributes:
        home: the directory with trust file and store; ``$CLOACINA_HOME`` or ``~/.cloacina``.
        trust: whom to trust; what the home's trust file says if left out.
        allow_unsigned: whether ``load_package(..., allow_unsigned=True)`` may load a package
            without any signature. Both must say so, and it is logged each time.
        workers_per_package: how many worker processes one package may have at once; as many as
            attempts may run at once if left out.
        environment: environment variables that workers get, beside the few that they need.
    """

    home: Path = field(default_factory=lambda: Home.default().path)
    trust: TrustFile | None = None
    allow_unsigned: bool = False
    workers_per_package: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
