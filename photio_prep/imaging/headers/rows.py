"""Detect uncompressed rows that were never written."""

from photio_prep.imaging.headers.header import ARRIVED_BROKEN, MalformedImage

# Files are written in blocks of this size; the last bytes before a block's end may be zeros of the picture.
_BLOCK, _NEAR = 512, 8
# The rest of the row in which the zeros begin: its least length, and the share of it that is not zero in the row above.
_LEAST_REST, _BRIGHT = 48, 0.6


def check_rows(data: bytes, start: int, stop: int, stride: int) -> None:
    """Refuse rows from `start` to `stop`, `stride` bytes each, that are zeros from a block of the file to their end.

    The zeros must begin inside a row that is not black above: a black background begins at the product's edge, not at
    a block.

    Raises:
        Damaged: Rows were never written.
    """
    end = start + len(data[start:stop].rstrip(b"\0"))
    block = -(-end // _BLOCK) * _BLOCK
    if block - end >= _NEAR or stop - block < _BLOCK or block - start <= stride:
        return
    rest = stride - (block - start) % stride
    above = data[block - stride : block - stride + rest]
    if rest >= _LEAST_REST and len(above) - above.count(0) >= _BRIGHT * rest:
        raise MalformedImage(
            f"{100 * (stop - block) // (stop - start)} % of its rows were never written", ARRIVED_BROKEN
        )
