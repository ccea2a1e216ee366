"""Show text that came from outside without letting it drive the terminal."""


def escaped(text: str) -> str:
    r"""Return one line in which everything that is not printable is written as ``\x1b``, ``\u202e``."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
