"""Stand-ins with a name for what they do: matters that need no network, senders that need no server, keeps that tell.

Takes and gives what the protocols of `photio_prep.types` say. Touches nothing. Raises nothing of its own.
"""

from dataclasses import dataclass, field

from PIL import Image


class BrightMatter:
    """Bright pixels are the product: sharp, fast, the same everywhere."""

    name = "bright"

    def __init__(self, threshold: int = 128) -> None:
        self.threshold = threshold
        self.pictures = 0

    def __call__(self, image: Image.Image, /) -> Image.Image:
        self.pictures += 1
        return image.convert("L").point([0] * self.threshold + [255] * (256 - self.threshold))


class CountingMatter(BrightMatter):
    """Remembers the sizes of the pictures that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, int]] = []

    def __call__(self, image: Image.Image, /) -> Image.Image:
        self.sizes.append(image.size)
        return super().__call__(image)


class FixedMatter:
    """Finds the same shape in every picture."""

    name = "fixed"

    def __init__(self, alpha: Image.Image) -> None:
        self.alpha = alpha

    def __call__(self, image: Image.Image, /) -> Image.Image:
        return self.alpha.resize(image.size)


class BrokenMatter:
    """Must not be asked; says so when it is."""

    name = "broken"

    def __call__(self, image: Image.Image, /) -> Image.Image:
        raise AssertionError("this matter must not be asked")


@dataclass
class TellingKeep:
    """A keep that remembers the order of what happened to it."""

    told: list[str] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)

    def write(self, chunk: bytes, /) -> None:
        self.told.append("write")
        self.raw += chunk

    def commit(self) -> None:
        self.told.append("commit")
