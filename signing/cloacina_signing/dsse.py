"""The bytes that are signed: the pre-authentication encoding of DSSE.

It binds the type of a payload to its bytes, so that a signature over a manifest can never be
mistaken for one over a trust file, and needs no canonical form of the payload.

Source: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md, version 1.
"""

MANIFEST_TYPE = "application/vnd.cloacina.manifest.v1+json"
TRUST_TYPE = "application/vnd.cloacina.trust.v1+json"


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes to sign for a payload of this type; lengths are decimal byte counts."""
    raw_type = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(raw_type), raw_type, len(payload), payload)
