"""Pure: several pieces in one WebSocket frame, behind a table of where each begins, in both of Jupyter's ways.

With buffers, the old format has a count and as many offsets, four bytes each, big-endian; the last piece ends with the
frame. `v1.kernel.websocket.jupyter.org` has eight bytes each, little-endian, and one offset more, which is the end.
"""

import struct
from collections.abc import Sequence
from itertools import pairwise

V1 = "v1.kernel.websocket.jupyter.org"


class BadTable(ValueError):
    """A frame that does not hold what its table says."""


def joined(pieces: Sequence[bytes], *, v1: bool) -> bytes:
    """One frame. `pieces`: one at least."""
    order, width = ("<{}Q", 8) if v1 else (">{}I", 4)
    offsets = [width * (len(pieces) + 1 + v1)]
    for piece in pieces if v1 else pieces[:-1]:
        offsets.append(offsets[-1] + len(piece))
    return struct.pack(order.format(len(offsets) + 1), len(offsets), *offsets) + b"".join(pieces)


def cut(frame: bytes, *, v1: bool, most: int) -> list[bytes]:
    """The pieces of a frame, one at least. `most`: offsets. BadTable, whatever else the bytes are."""
    order, width = ("<{}Q", 8) if v1 else (">{}I", 4)
    count = struct.unpack_from(order.format(1), frame)[0] if len(frame) >= width else 0
    start = width * (count + 1)
    if not 1 + v1 <= count <= most or len(frame) < start:
        raise BadTable("a frame without parts, or with too many")
    offsets = [*struct.unpack_from(order.format(count), frame, width), *([] if v1 else [len(frame)])]
    if offsets[0] != start or offsets[-1] > len(frame):
        raise BadTable("offsets that lead out of the frame")
    if any(left > right for left, right in pairwise(offsets)):
        raise BadTable("offsets that fall")
    return [frame[left:right] for left, right in pairwise(offsets)]
