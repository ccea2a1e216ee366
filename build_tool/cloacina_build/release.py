"""The release number that follows from a version, where a project does not choose its own.

A host refuses a package whose release is lower than one that it has admitted, and another
package under the same number. The number therefore grows with the version, and different
versions never share one:

    digits   16 to 13    12 to 9   8 to 5    4 to 1
    hold     major       minor     micro     stage

The stage is 0000 + N for `.devN`, 1000 + N for `aN`, 2000 + N for `bN`, 3000 + N for `rcN`, 4000
for a final version and 5000 + N for `.postN`. So 1.4.2 is release 1 0004 0002 4000. A version that
does not fit (an epoch, a local part, a fourth number, a number over 9999, two suffixes) has none.

Source: PEP 440 for the order of versions.
"""

from __future__ import annotations

from packaging.version import Version

from cloacina_build.errors import UnderivableReleaseError

_STEP = 10_000
_LARGEST_MAJOR = 9_006  # the next one would pass 2**53, which JSON readers do not keep exactly
_PRE_STAGES = {"a": 1_000, "b": 2_000, "rc": 3_000}
_FINAL = 4_000
_POST = 5_000


def release_of(version: Version) -> int:
    """Return the release number of a version.

    Raises:
        UnderivableReleaseError: if there is none.
    """
    reason = _misfit(version)
    if reason:
        raise UnderivableReleaseError(str(version), reason)
    number = version.major
    for part in (version.minor, version.micro, _stage(version)):
        number = number * _STEP + part
    return number


def _misfit(version: Version) -> str:
    suffixes = [
        number
        for number in (version.dev, version.pre and version.pre[1], version.post)
        if number is not None
    ]
    if version.epoch or version.local:
        return "it has an epoch or a local part"
    if any(version.release[3:]):
        return "it has more than three numbers"
    if version.major > _LARGEST_MAJOR or max(version.release) >= _STEP:
        return f"a number is too large (up to {_LARGEST_MAJOR}, then up to {_STEP - 1} each)"
    if len(suffixes) > 1:
        return "it has more than one suffix"
    limit = 5_000 if version.post is not None else 1_000
    return (
        f"the number of its suffix is not below {limit}"
        if max(suffixes, default=0) >= limit
        else ""
    )


def _stage(version: Version) -> int:
    if version.dev is not None:
        return version.dev
    if version.pre is not None:
        kind, number = version.pre
        return _PRE_STAGES[kind] + number
    return _FINAL if version.post is None else _POST + version.post
