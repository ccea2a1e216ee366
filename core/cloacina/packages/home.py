"""The directory in which a host keeps whom it trusts, its keys and its unpacked packages.

trust.json       signed; counts only if the root key beside it signed it
root.pub.pem     the pinned root
config.toml      settings of the runners of the command line
keys/            private keys made here
store/           unpacked packages, by digest
"""

import os
from dataclasses import dataclass
from pathlib import Path

from cloacina_signing.errors import TrustError
from cloacina_signing.keys import PublicKey
from cloacina_signing.trust import TrustFile


@dataclass(frozen=True, slots=True)
class Home:
    """Where things are under one home directory. Nothing is created by naming it."""

    path: Path

    @classmethod
    def default(cls) -> "Home":
        """Return ``$CLOACINA_HOME``, or ``~/.cloacina``."""
        named = os.environ.get("CLOACINA_HOME")
        return cls(Path(named).absolute() if named else Path.home() / ".cloacina")

    @property
    def trust_file(self) -> Path:
        """The signed trust file."""
        return self.path / "trust.json"

    @property
    def root_file(self) -> Path:
        """The public half of the pinned root key."""
        return self.path / "root.pub.pem"

    @property
    def config_file(self) -> Path:
        """The settings of runners that the command line starts; it need not exist."""
        return self.path / "config.toml"

    @property
    def keys(self) -> Path:
        """The directory of private keys."""
        return self.path / "keys"

    @property
    def store(self) -> Path:
        """The content-addressed store."""
        return self.path / "store"

    @property
    def packages(self) -> Path:
        """Package files that were accepted here, by digest."""
        return self.path / "packages"

    @property
    def database(self) -> Path:
        """The database that the command line uses unless told otherwise."""
        return self.path / "cloacina.db"

    def trust(self) -> TrustFile | None:
        """Return whom this home trusts, verified by its pinned root; ``None`` without a file.

        Raises:
            TrustError: if the file is not signed by the pinned root, or malformed, or if there is
                no pinned root.
        """
        try:
            raw = self.trust_file.read_bytes()
        except FileNotFoundError:
            return None
        try:
            root = PublicKey.from_pem(self.root_file.read_bytes())
        except FileNotFoundError as error:
            raise TrustError(
                f"{self.trust_file} counts only with the root key that signed it, "
                f"and {self.root_file} is missing",
                next_step="put the root's public key back, or begin anew: move trust.json away "
                "and run 'cloacina-ctl trust init'",
            ) from error
        return TrustFile.parse(raw, {root.key_id: root})
