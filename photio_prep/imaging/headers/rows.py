"""Rows of pixels as they lie in a file, uncompressed: whether they were all written."""

from photio_prep.imaging.headers.header import ARRIVED_BROKEN, Damaged

# Files are written in blocks of so many bytes; the last bytes before a block's end may be zero by themselves.
_BLOCK, _NEAR = 512, 8
# The rest of the row that the zeros begin in: long enough to judge, and not black in the row before.
_LEAST_REST, _BRIGHT = 48, 0.6


def check_rows(data: bytes, start: int, stop: int, stride: int) -> None:
    """Refuse rows that are zeros to their end, from a block of the file on, in the midst of a row that was not black.

    A black ground begins where the product ends, and not where a block does.

    Args:
        data: The file.
        start: Where its first row begins.
        stop: Where its last row ends.
        stride: Bytes of a row.

    Raises:
        Damaged: As said.
    """
    end = start + len(data[start:stop].rstrip(b"\0"))
    block = -(-end // _BLOCK) * _BLOCK
    if block - end >= _NEAR or stop - block < _BLOCK or block - start <= stride:
        return
    rest = stride - (block - start) % stride
    above = data[block - stride : block - stride + rest]
    if rest >= _LEAST_REST and len(above) - above.count(0) >= _BRIGHT * rest:
        raise Damaged(f"{100 * (stop - block) // (stop - start)} % of its rows were never written", ARRIVED_BROKEN)
