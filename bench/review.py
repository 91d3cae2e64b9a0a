"""What the review page of many orders costs: to make, to open, to filter; measured in a real Chromium.

`python -m bench.review [orders]` (1,000 unless told) makes that many orders on disk, of one of the fixtures at full
size (the pictures are hard links to one order's), then the page twice, and opens it from file://. First paint is what
the browser itself reports, and once more for a page of ten orders: the difference is what a thousand cost, the rest is
the browser's own start. A filter's time runs from the change to the next frame that was painted. CPU is that of the
page's main thread.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from photio_prep import pipeline, write_review
from photio_prep.orders import previews
from photio_prep.review import entries, html, thumbnails
from tests.support.pages import browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

PHOTO = Path(__file__).parent.parent / "fixtures" / "photos" / "bottle.jpg"
TRUTH = PHOTO.parent.parent / "truth" / "bottle.webp"
RUNS = 5
FRAME = 1000 / 60
PICTURES = ("canvas.png", "cutout.png", previews.PHOTO, previews.MASK, previews.OVERLAY)

PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
# One frame to see the change, one to know that it was painted.
FILTERED = """([id, value, event]) => new Promise((done) => {
    const start = performance.now();
    const control = document.getElementById(id);
    control.value = value;
    control.dispatchEvent(new Event(event));
    const worked = performance.now() - start;
    requestAnimationFrame(() => requestAnimationFrame(() => done([worked, performance.now() - start])));
})"""
SCROLLED = """() => new Promise((done) => {
    const list = document.getElementById("list"), gaps = [];
    let last = performance.now(), left = 60;
    const step = (now) => {
        gaps.push(now - last);
        last = now;
        list.scrollTop += 700;
        if (left--) requestAnimationFrame(step);
        else done(Math.max(...gaps.slice(2)));
    };
    requestAnimationFrame(step);
})"""


def made(out: Path, count: int) -> None:
    """That many orders below `out`: one real one, and copies under other keys, names, seeds and judgements."""
    with Image.open(TRUTH) as truth:
        order = pipeline.prepare(
            PHOTO, mask=truth.convert("L"), description="on a marble table, soft morning light", orders=out / "orders"
        )
    assert order.folder is not None
    previews.draw_previews(order.folder)
    plan = json.loads((order.folder / "order.json").read_text())
    photo = json.loads(next(order.folder.glob("photo-*.json")).read_text())
    gate = json.loads(next(order.folder.glob("gate-*.json")).read_text())
    said = "the product is cut off by the photo's edge (top; 3% of its outline). Photograph all of it, if not meant"
    for number in range(count):
        key = sha256(str(number).encode()).hexdigest()
        folder = out / "orders" / key[:32]
        folder.mkdir()
        for name in PICTURES:
            os.link(order.folder / name, folder / name)
        (folder / "order.json").write_text(json.dumps({**plan, "key": key, "seed": number + 1}))
        name = f"{number:012x}"
        source = f"shop/autumn/{number:05}-bottle.jpg"
        (folder / f"photo-{name}.json").write_text(json.dumps({**photo, "source": source, "output": f"{number:05}"}))
        reasons = [{"reason": "cut", "verdict": "warn", "text": said}] if number % 7 == 0 else []
        (folder / f"gate-{name}.json").write_text(json.dumps({**gate, "reasons": reasons}))
    for path in order.folder.iterdir():
        path.unlink()
    order.folder.rmdir()


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory(prefix="bench-review-") as folder:
        out = Path(folder)
        made(out, count)
        print(f"{count} orders, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        for what in ("made", "made again"):
            start, used = time.perf_counter(), time.process_time()
            place = write_review(out)
            took = time.perf_counter() - start
            print(f"{what:<14} {took:.1f} s, CPU {1000 * (time.process_time() - used) / count:.1f} ms an order")
        small = sum(each.stat().st_size for each in (out / thumbnails.FILES).iterdir())
        print(f"size           {place.stat().st_size / 1e6:.2f} MB, small pictures {small / 1e6:.1f} MB")
        first = entries.load_entries(out)[:10]
        ten = out / "ten.html"
        ten.write_bytes(html.render_page(first, thumbnails.collect_pictures(first), ten))
        with browser() as chrome:
            found, few = [], []
            for _ in range(RUNS):  # in turns, so that a slow minute of the machine hits both
                found.append(measured(chrome, place))
                few.append(measured(chrome, ten))
        paints, cpu, scripts, shown, scrolls, rows = ([each[name] for each in found] for name in found[0])
        print(f"first paint    {told(paints)}; of ten orders {told([each['paint'] for each in few])}")
        print(f"CPU until then {told(cpu)}; of ten orders {told([each['cpu'] for each in few])}")
        print(f"filter, script {told([each for some in scripts for each in some])}")
        print(f"filter, shown  {told([each for some in shown for each in some])}; two frames are the least")
        print(f"longest frame  {told(scrolls)} while the list runs past 9 rows a frame")
        print(f"rows in the DOM {max(rows)}")


def opened(chrome: Browser, place: Path) -> tuple[float, Page, CDPSession]:
    """When the browser painted first, in ms, and the page."""
    seen = chrome.new_page(viewport={"width": 1440, "height": 900})
    session = seen.context.new_cdp_session(seen)
    session.send("Performance.setTimeDomain", {"timeDomain": "threadTicks"})
    session.send("Performance.enable")
    seen.goto(place.as_uri())
    seen.wait_for_function(PAINTED)
    return float(seen.evaluate(PAINTED)), seen, session


def measured(chrome: Browser, place: Path) -> dict[str, Any]:
    """One page's figures, in ms."""
    paint, seen, session = opened(chrome, place)
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    times = [
        seen.evaluate(FILTERED, change)
        for change in (["by-flag", "cut", "change"], ["by-flag", "", "change"], ["search", "00042", "input"])
    ]
    seen.evaluate(FILTERED, ["search", "", "input"])
    scrolled = seen.evaluate(SCROLLED)
    rows = seen.locator(".row").count()
    seen.close()
    scripts, shown = ([each[at] for each in times] for at in (0, 1))
    cpu = metrics["TaskDuration"] * 1000
    return {"paint": paint, "cpu": cpu, "script": scripts, "shown": shown, "scroll": scrolled, "rows": rows}


def told(times: list[float]) -> str:
    """Median and worst of milliseconds, in frames of a 60 Hz screen too."""
    middle, worst = statistics.median(times), max(times)
    return f"{middle:.0f} ms ({middle / FRAME:.1f} frames), worst {worst:.0f} ms"


if __name__ == "__main__":
    main()
