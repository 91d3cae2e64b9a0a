"""The README's picture strip: photo, cutout, canvas, final, from our own fixture through the sandbox.

python docs/pictures/strip.py
"""

from pathlib import Path

from PIL import Image, ImageDraw

from photio_prep import prepare
from photio_prep.api.client import InstantClient
from photio_prep.intake.load import load
from photio_prep.orders.store import SANDBOX
from photio_prep.pipeline import finish, generate
from photio_prep.sandbox import Sandbox

HEIGHT = 460
ROOT = Path(__file__).parents[2]
ROWS = (
    ("bottle.jpg", "on a marble kitchen counter, soft morning light through a window, sage green wall"),
    ("mug.jpg", "on a rough wooden table in a cabin, golden evening light, dark blue wall"),
)


def checkered(image: Image.Image) -> Image.Image:
    """An RGBA picture over the usual grey squares."""
    paper = Image.new("RGB", image.size, (235, 235, 235))
    draw = ImageDraw.Draw(paper)
    side = max(image.size) // 48
    for row in range(0, image.height, side):
        for column in range((row // side % 2) * side, image.width, 2 * side):
            draw.rectangle((column, row, column + side - 1, row + side - 1), fill=(205, 205, 205))
    paper.paste(image, mask=image.getchannel("A"))
    return paper


def row(name: str, description: str) -> Image.Image:
    """The four pictures of one photo, side by side."""
    path = ROOT / "fixtures" / "photos" / name
    order = prepare(path, description=description, endpoint=SANDBOX)
    with Sandbox() as sandbox:
        result = generate(order, client=InstantClient("pt-sandbox", api_url=sandbox.url, endpoint=SANDBOX))
    assert order.cutout is not None
    pictures = [load(path).image, checkered(order.cutout), checkered(order.canvas.image), finish(order, result).image]
    scaled = [each.resize((round(each.width * HEIGHT / each.height), HEIGHT)) for each in pictures]
    strip = Image.new("RGB", (sum(each.width + 8 for each in scaled) - 8, HEIGHT), "white")
    left = 0
    for each in scaled:
        strip.paste(each, (left, 0))
        left += each.width + 8
    return strip


def main() -> None:
    """Write docs/pictures/strip.jpg."""
    rows = [row(*each) for each in ROWS]
    width = min(each.width for each in rows)
    rows = [each.resize((width, round(each.height * width / each.width))) for each in rows]
    whole = Image.new("RGB", (width, sum(each.height + 8 for each in rows) - 8), "white")
    top = 0
    for each in rows:
        whole.paste(each, (0, top))
        top += each.height + 8
    whole.save(ROOT / "docs" / "pictures" / "strip.jpg", quality=88)


if __name__ == "__main__":
    main()
