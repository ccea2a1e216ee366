"""The failures of this distribution.

Rules:

* Constructors take facts, build the sentence and keep the facts as attributes.
* Text that came from outside is shown escaped and shortened (`shown`), so that a hostile name
  cannot drive a terminal or hide the rest of the sentence.
"""

from collections.abc import Sequence

_SHOWN_CHARS = 100


def shown(text: str) -> str:
    """Quote untrusted text in pure ASCII, at most about a line of it."""
    if len(text) > _SHOWN_CHARS:
        return f"{text[:_SHOWN_CHARS]!a}..."
    return ascii(text)


class SigningError(Exception):
    """Something that was to be trusted is not what it claims to be."""


class NonCanonicalArchiveError(SigningError, ValueError):
    """The bytes are not the one canonical archive of their contents."""

    def __init__(self, structure: str, fact: str, *, offset: int | None = None) -> None:
        self.structure = structure
        self.fact = fact
        self.offset = offset
        where = structure if offset is None else f"{structure} (byte {offset})"
        super().__init__(f"not a canonical package archive: {where}: {fact}")


class StrictJsonError(SigningError, ValueError):
    """A JSON text or value breaks the strict rules; `where` is a position or a key path."""

    def __init__(self, where: str, fact: str) -> None:
        self.where = where
        self.fact = fact
        super().__init__(f"refused JSON at {where}: {fact}")


class WheelError(SigningError, ValueError):
    """A wheel breaks one or more rules; `problems` holds every one that was found."""

    def __init__(self, filename: str, problems: Sequence[str]) -> None:
        self.filename = filename
        self.problems = tuple(problems)
        super().__init__(f"wheel {shown(filename)} is refused: {'; '.join(self.problems)}")


class KeyFileError(SigningError, ValueError):
    """A key, or the file that holds it, cannot be used."""

    def __init__(self, subject: str, fact: str, *, next_step: str = "") -> None:
        self.subject = subject
        self.fact = fact
        self.next_step = next_step
        super().__init__(_sentence(f"{subject}: {fact}", next_step))


class WrongPassphraseError(KeyFileError, PermissionError):
    """A sealed key does not open: the passphrase is wrong or missing, or the file was altered."""


class SignatureError(SigningError, ValueError):
    """A set of signatures is malformed."""

    def __init__(self, fact: str, *, next_step: str = "") -> None:
        self.fact = fact
        self.next_step = next_step
        super().__init__(_sentence(f"signatures: {fact}", next_step))


class TrustError(SigningError, ValueError):
    """A trust file is malformed, not signed as it must be, or asked for the impossible."""

    def __init__(self, fact: str, *, next_step: str = "") -> None:
        self.fact = fact
        self.next_step = next_step
        super().__init__(_sentence(f"trust: {fact}", next_step))


def _sentence(fact: str, next_step: str) -> str:
    return f"{fact}; {next_step}" if next_step else fact
