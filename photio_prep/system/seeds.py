"""Seeds of the Instant API. They are derived from the input, so that the same order prepared twice has the same key."""

from hashlib import sha256

LAST = 4_294_967_296


def seed_from_canvas(canvas_sha256: str) -> int:
    """The default seed of an order, 1 … LAST - 1, from the first 64 bits of the SHA-256 of its canvas's PNG in hex."""
    return 1 + int(canvas_sha256[:16], 16) % (LAST - 1)


def derive_seed(base: int, number: int) -> int:
    """The seed of variant number 1, 2, 3 …; the first has the seed of the photo's only order."""
    return base if number == 1 else _seed_from_text(f"photio-prep sweep\0{base}\0{number}")


def seed_of_sku(sku: str) -> int:
    """The seed of a job-table row with this SKU, the same in every table."""
    return _seed_from_text(f"photio-prep sku\0{sku}")


def _seed_from_text(text: str) -> int:
    return seed_from_canvas(sha256(text.encode()).hexdigest())
