"""Which 32 bytes are an honest Ed25519 public key.

The signature library accepts any 32 bytes as a public key. With the identity point, or another
point of small order, signatures can be made that verify for many messages without any private key.

Rules: the encoding is canonical (y < p, and no sign on a zero x), the point lies on the curve, and
its order is not one of 1, 2, 4, 8.

Only public values are computed with, so nothing here needs constant time.

Source: RFC 8032, sections 5.1.2 to 5.1.4 (encoding, decoding, addition and doubling).
"""

from typing import TypeAlias

POINT_BYTES = 32
_PRIME = 2**255 - 19
_D = -121665 * pow(121666, -1, _PRIME) % _PRIME
_SQRT_MINUS_ONE = pow(2, (_PRIME - 1) // 4, _PRIME)
_DOUBLINGS_TO_CLEAR_COFACTOR = 3

_Projective: TypeAlias = tuple[int, int, int]


def point_problem(raw: bytes) -> str | None:
    """Say why these bytes are no honest public key, or return None."""
    if len(raw) != POINT_BYTES:
        return f"{len(raw)} bytes, an Ed25519 public key has {POINT_BYTES}"
    number = int.from_bytes(raw, "little")
    y, sign = number & (2**255 - 1), number >> 255
    if y >= _PRIME:
        return "the point is not encoded canonically"
    x = _square_root_ratio((y * y - 1) % _PRIME, (_D * y * y + 1) % _PRIME)
    if x is None:
        return "the point is not on the curve"
    if x == 0 and sign:
        return "the point is not encoded canonically"
    if _is_small_order((x, y, 1)):
        return "the point has a small order: signatures under it prove nothing"
    return None


def _square_root_ratio(numerator: int, denominator: int) -> int | None:
    """Return a square root of numerator / denominator modulo p, if there is one."""
    ratio = numerator * pow(denominator, -1, _PRIME) % _PRIME
    root = pow(ratio, (_PRIME + 3) // 8, _PRIME)
    for candidate in (root, root * _SQRT_MINUS_ONE % _PRIME):
        if candidate * candidate % _PRIME == ratio:
            return candidate
    return None


def _is_small_order(point: _Projective) -> bool:
    for _ in range(_DOUBLINGS_TO_CLEAR_COFACTOR):
        point = _doubled(point)
    x, y, z = point
    return x == 0 and y == z


def _doubled(point: _Projective) -> _Projective:
    """Double a point of -x^2 + y^2 = 1 + d x^2 y^2 in projective coordinates."""
    x, y, z = point
    x_squared, y_squared = x * x, y * y
    difference = y_squared - x_squared
    rest = difference - 2 * z * z
    product = 2 * x * y
    return (
        product * rest % _PRIME,
        difference * (-x_squared - y_squared) % _PRIME,
        difference * rest % _PRIME,
    )
