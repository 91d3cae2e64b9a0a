"""Seeds of the Instant API. They are derived from the input, so that the same order prepared twice has the same key."""

from hashlib import sha256

LAST = 4_294_967_296


def seed_from_canvas(canvas_sha256: str) -> int:
    """The default seed of an order, from the SHA-256 of its canvas's PNG in hex."""
    return _seed_from(canvas_sha256)


def derive_seed(base: int, number: int) -> int:
    """The seed of variant number 1, 2, 3 …; the first has the seed of the photo's only order."""
    return base if number == 1 else _seed_from(_digest(f"photio-prep sweep\0{base}\0{number}"))


def seed_of_sku(sku: str) -> int:
    """The seed of a job-table row with this SKU, the same in every table."""
    return _seed_from(_digest(f"photio-prep sku\0{sku}"))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _seed_from(digest: str) -> int:
    """1 … LAST - 1, by the first 64 bits of a digest in hex."""
    return 1 + int(digest[:16], 16) % (LAST - 1)
