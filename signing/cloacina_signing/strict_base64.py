"""Base64 of which every value has exactly one spelling.

The standard decoder accepts stray bits after the last whole byte, so that several texts mean the
same bytes; here the text must be what encoding the result gives (RFC 4648, sections 3.3 and 3.5).
"""

import base64
import binascii


def encode(raw: bytes) -> str:
    """Return the standard, padded base64 of these bytes."""
    return base64.b64encode(raw).decode("ascii")


def decode(text: str) -> bytes | None:
    """Return the bytes, or None when this is not the one spelling of any."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    return raw if encode(raw) == text else None
