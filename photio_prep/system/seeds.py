"""Seeds of the Instant API: their range, and how this tool draws them so that the same order made again is the same."""

from hashlib import sha256

LAST = 4_294_967_296


def drawn(canvas_sha256: str) -> int:
    """The seed of an order whose user gave none: as good as random, and the same tomorrow.

    Args:
        canvas_sha256: Of the PNG that is sent, in hex.
    """
    return _scaled(canvas_sha256)


def derived(base: int, number: int) -> int:
    """The seed of variant number 1, 2, 3 …; the first has the seed that the photo's only order would have."""
    return base if number == 1 else _scaled(_digest(f"photio-prep sweep\0{base}\0{number}"))


def of_sku(sku: str) -> int:
    """The seed that a row of a job table gets for its SKU, the same in every table."""
    return _scaled(_digest(f"photio-prep sku\0{sku}"))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _scaled(digest: str) -> int:
    """1 … LAST - 1, by the first 64 bits of a digest in hex."""
    return 1 + int(digest[:16], 16) % (LAST - 1)
