"""The README's pictures of the review page: wide, dark, and on a phone, from the demo's page.

make demo; python -m docs.pictures.review
"""

import io
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.support.pages import browser

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "demo-out" / "review.html"
WIDE: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True}


def opened(chrome: Browser, **options: Any) -> Page:  # noqa: ANN401  Playwright's own options
    """The demo's page, with a few decisions made."""
    page = chrome.new_context(**options).new_page()
    page.goto(PAGE.as_uri())
    for key in "xajaaa":
        page.keyboard.press(key)
    page.keyboard.press("Home")
    return page


def chosen(page: Page, name: str, view: str) -> None:
    """One photo in one view."""
    page.locator(".row", has_text=name).first.click()
    page.keyboard.press(view)
    page.wait_for_function("() => [...document.images].every((each) => each.complete)")
    page.wait_for_timeout(500)


def shot(page: Page) -> Image.Image:
    """What the page shows now."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def main() -> None:
    """Write docs/pictures/review-wide.jpg, docs/pictures/review-dark.jpg and docs/pictures/review-phone.jpg."""
    with browser() as chrome:
        page = opened(chrome, **WIDE)
        chosen(page, "mug", "4")
        shot(page).save(ROOT / "docs" / "pictures" / "review-wide.jpg", quality=86)
        page = opened(chrome, color_scheme="dark", **WIDE)
        chosen(page, "bottle", "3")
        shot(page).save(ROOT / "docs" / "pictures" / "review-dark.jpg", quality=84)
        page = opened(chrome, **PHONE)
        left = shot(page)
        chosen(page, "mug", "4")
        right = shot(page)
    both = Image.new("RGB", (2 * left.width + 40, left.height), "#d9dde1")
    both.paste(left, (0, 0))
    both.paste(right, (left.width + 40, 0))
    both.resize((both.width * 5 // 8, both.height * 5 // 8), Image.Resampling.LANCZOS).save(
        ROOT / "docs" / "pictures" / "review-phone.jpg", quality=84
    )


if __name__ == "__main__":
    main()
