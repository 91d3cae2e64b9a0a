"""The README's picture of the three ways to finish: generated, detail, original, each whole and near.

python docs/pictures/product.py
"""

from pathlib import Path

from PIL import Image

from bench.redraw import PlantedChanges
from photio_prep import prepare
from photio_prep.api.client import InstantClient
from photio_prep.orders.store import SANDBOX
from photio_prep.pipeline import finish, generate
from photio_prep.sandbox import Sandbox

SIDE = 420
ROOT = Path(__file__).parents[2]
DESCRIPTION = "on a marble kitchen counter, soft morning light through a window, sage green wall"
# What a generator does to a product on a bad day: softer, another tone, a little larger.
DRIFT = PlantedChanges(blur=1.2, tone=(14, 2, -14), grow=3)
# Of the photo: a part of the label, and a corner of the carton against the scene.
NEAR = ((980, 420, 1330, 770), (800, 180, 1000, 380))


def main() -> None:
    """Write docs/pictures/product.jpg: rows for the whole final, its label, its corner; a column for each product."""
    order = prepare(ROOT / "fixtures" / "photos" / "carton.jpg", description=DESCRIPTION, endpoint=SANDBOX)
    with Sandbox(paint=DRIFT.paint) as sandbox:
        result = generate(order, client=InstantClient("pt-sandbox", api_url=sandbox.url, endpoint=SANDBOX))
    finals = [
        finish(order, result, product="generated"),
        finish(order, result, product="detail"),
        finish(order, result, product="original"),
    ]
    columns = []
    for final in finals:
        wide = final.image.resize((SIDE, round(SIDE * final.image.height / final.image.width)))
        columns.append([wide, *(final.image.crop(box).resize((SIDE, SIDE), Image.Resampling.NEAREST) for box in NEAR)])
    high = sum(each.height + 8 for each in columns[0]) - 8
    whole = Image.new("RGB", (len(columns) * (SIDE + 8) - 8, high), "white")
    for number, column in enumerate(columns):
        top = 0
        for each in column:
            whole.paste(each, (number * (SIDE + 8), top))
            top += each.height + 8
    whole.save(ROOT / "docs" / "pictures" / "product.jpg", quality=88)


if __name__ == "__main__":
    main()
