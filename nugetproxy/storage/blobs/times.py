"""The commit time of a blob whose fraction of a second stands for its bytes.

So every node describes a blob by the same entity tag, with or without asking the bucket, and sees whether a file that
it kept still has the bytes that are wanted, without reading it. The bytes themselves were verified when it was written.
"""

import base64
from typing import Final

from nugetproxy.storage.blobs.base import BlobInfo, BlobKey

_SECOND: Final = 1_000_000_000


def time_of(seconds: float, sha512: bytes) -> int:
    """Nanoseconds since 1970, of a commit at `seconds`."""
    return int(seconds) * _SECOND + _fraction(sha512)


def stands_for(modified: int, sha512: str) -> bool:
    """Whether a file with this modification time was committed with these bytes (their hash, in base64).

    Where a file system keeps whole seconds only, that cannot be told, and is assumed.
    """
    fraction = modified % _SECOND
    return fraction == 0 or fraction == _fraction(base64.b64decode(sha512[:8]))


def described(key: BlobKey, size: int, modified: int) -> BlobInfo:
    """A blob with such a time. Its entity tag does not depend on when it was committed."""
    fraction = modified % _SECOND
    return BlobInfo(key, size, modified, f"{fraction:x}-{size:x}" if fraction else "")


def _fraction(sha512: bytes) -> int:
    """Never 0: that stands for a time without a fraction."""
    return int.from_bytes(sha512[:4]) % (_SECOND - 1) + 1
