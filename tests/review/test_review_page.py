"""The review page in a real headless Chromium, from file://: what it shows, what it does, and what it never does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from photio_prep.orders import store
from photio_prep.review import write_review
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok
from tests.support.pages import EVIL_NAMES, EVIL_TEXT, Seen, browser, keys, make_batch, opened
from tests.support.photos import SCENE, cutout, saved
from tests.support.sampling import sampled

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from photio_prep.sandbox import Sandbox
    from tests.support.commands import Command

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "device_scale_factor": 2,
}


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("batch")
    made = make_batch(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        write_review("out")
    return made


@pytest.fixture
def seen(chrome: Browser, out: Path) -> Iterator[Seen]:
    with opened(chrome, out / "review.html") as page:
        yield page


def test_it_opens_from_a_file_without_an_error_and_asks_nobody_for_anything(seen: Seen, out: Path) -> None:
    seen.page.wait_for_load_state("networkidle")
    root = out.parent.resolve().as_uri()
    assert len(seen.requests) > 10
    assert [url for url in seen.requests if not url.startswith(root)] == []
    assert f"{len(EVIL_NAMES) + 7} photos" in seen.text("#totals")
    assert "perhaps billed: 1" in seen.text("#totals")


def test_its_policy_forbids_the_net_and_foreign_scripts(chrome: Browser, out: Path) -> None:
    with HostileServer(ok()) as server, opened(chrome, out / "review.html") as seen:
        tried = seen.page.evaluate(
            """async (url) => {
                const broken = [];
                document.addEventListener("securitypolicyviolation", (event) => broken.push(event.effectiveDirective));
                const failed = await fetch(url).then(() => "fetched", () => "refused");
                new Image().src = url;
                navigator.sendBeacon(url, "x");
                const script = document.createElement("script");
                script.textContent = "window.ran = true";
                document.body.append(script);
                const form = document.createElement("form");
                form.action = url;
                document.body.append(form);
                form.submit();
                document.body.setAttribute("onclick", "window.ran = true");
                document.body.click();
                await new Promise((done) => setTimeout(done, 300));
                return [failed, window.ran ?? false, [...new Set(broken)].sort()];
            }""",
            server.url,
        )
        assert tried[:2] == ["refused", False]
        assert {"connect-src", "img-src", "script-src-elem", "form-action", "script-src-attr"} <= set(tried[2])
        assert server.hits == 0  # a form's connection is opened ahead, and then nothing is said
        seen.wrong.clear()  # the refusals above were told on the console, as they should be


def test_names_and_words_made_to_hurt_are_inert(seen: Seen, out: Path) -> None:
    shown = set()
    for _ in range(len(EVIL_NAMES) + 7):
        shown.add(seen.name)
        assert seen.page.evaluate("document.querySelectorAll('script').length") == 2
        assert seen.page.evaluate("document.querySelectorAll('[onerror], img[src=x]').length") == 0
        seen.press("j")
    assert 'in/"><script>alert(1)</script>.png' in shown
    assert "in/evil\\x202egnp.scr\\x2028 \\x07.png" in shown  # nothing turns the letters around
    assert "in/no utf-8 \\xdcff\\xdcfe.png" in shown
    assert not any("\u202e" in each for each in shown)
    seen.choose("plain/rejected.jpg")
    assert "<img src=x onerror=alert(2)>" in seen.text("#facts")
    seen.choose("plain/finished.jpg")
    assert EVIL_TEXT[:20] in seen.text("#facts")
    source = (out / "review.html").read_text("utf-8")
    assert source.count("<script") == 2
    assert source.count("</script") == 2
    assert source.isascii() or "\u2028" not in source


@pytest.mark.soak
def test_every_picture_of_every_photo_in_every_view_is_there(seen: Seen) -> None:
    kinds = set()
    for _ in range(len(EVIL_NAMES) + 6):
        for view in "1234":
            seen.press(view)
            if "damaged" not in seen.text("#badges"):
                found = seen.pictures()
                assert found
                assert all(each["width"] for each in found), (seen.name, found)
                kinds |= {each["src"].rpartition("/")[2].rpartition("-")[2] for each in found}
        seen.press("j")
    assert {"cutout.png", "canvas.png", "photo.jpg", "finished.jpg", "photio.jpg"} <= kinds


def test_the_photo_is_compared_with_the_final_at_full_size(seen: Seen, out: Path) -> None:
    seen.choose("plain/finished.jpg")
    seen.press("4", "z")
    before, after = seen.pictures()
    assert before["src"].endswith("/in/plain/finished.jpg")
    assert after["src"].endswith("/out/finished-photio.jpg")
    with Image.open(out.parent / "in/plain/finished.jpg") as photo:
        assert (before["width"], after["width"]) == (photo.width, photo.width)
    frame = seen.page.locator("#stage .frame").first.bounding_box()
    assert frame
    assert frame["width"] == pytest.approx(photo.width, abs=1)


def test_the_drift_picture_is_shown_in_its_own_shape(seen: Seen) -> None:
    seen.page.select_option("#by-flag", "drift")
    seen.press("Escape", "4", "d")
    (picture,) = seen.pictures()
    assert picture["src"].endswith("/drift.png")
    box = seen.page.locator("#stage .frame").bounding_box()
    assert box
    assert box["width"] / box["height"] == pytest.approx(picture["width"] / picture["height"], rel=0.02)
    assert EVIL_TEXT[:20] in seen.text("#facts")
    seen.press("d")
    assert seen.page.locator(".slide").count() == 1


def test_the_slider_drags(seen: Seen) -> None:
    seen.choose("plain/finished.jpg")
    seen.press("4")
    seen.pictures()
    box = seen.page.locator(".slide").bounding_box()
    assert box
    top = box["y"] + box["height"] / 2
    shares = []
    seen.page.mouse.move(box["x"] + box["width"] / 2, top)
    seen.page.mouse.down()
    for share in (0.25, 0.8):
        seen.page.mouse.move(box["x"] + box["width"] * share, top, steps=4)
        cut = seen.page.evaluate("getComputedStyle(document.querySelector('.after')).clipPath")
        shares.append(float(cut.partition("0px 0px ")[2].rstrip("%)").split()[-1]))
    seen.page.mouse.up()
    assert shares == [pytest.approx(25, abs=1), pytest.approx(80, abs=1)]
    seen.press("ArrowRight")
    assert seen.page.locator(".slide").get_attribute("aria-valuetext") in ("80 percent before", "81 percent before")
    seen.page.locator("#list").focus()
    seen.press("ArrowLeft")
    assert float(seen.page.locator(".slide").input_value()) == pytest.approx(75, abs=1)


def test_filters_filter_and_search_finds(seen: Seen) -> None:
    page = seen.page
    everything = len(EVIL_NAMES) + 7
    assert seen.text("#shown") == f"{everything} photos"
    for state in ("finished", "answered", "unknown", "rejected", "paid unusable", "damaged", "planned"):
        page.select_option("#by-state", state)
        count = {"finished": 2, "planned": len(EVIL_NAMES)}.get(state, 1)
        assert seen.text("#shown") == f"{count} of {everything} photos"
        assert page.locator(".row").count() == count
        assert all(state in each for each in page.locator(".row .marks").all_inner_texts())
        assert state in seen.text("#badges")  # what is looked at is among them
    page.select_option("#by-state", "")
    page.select_option("#by-flag", "sandbox")
    assert seen.text("#shown") == f"1 of {everything} photos"
    assert "Sandbox: not a paid result" in seen.text("#stage")
    page.select_option("#by-flag", "small")
    small = page.locator(".row").count()
    assert 0 < small <= everything
    page.select_option("#by-flag", "")
    page.fill("#search", "PLAIN/finished")
    assert seen.name == "in/plain/finished.jpg"
    page.fill("#search", "nothing is called so")
    assert seen.text(".nothing").startswith("Nothing matches")
    page.fill("#search", "")
    assert seen.text("#shown") == f"{everything} photos"
    seen.press("Escape", "j", "a")
    page.select_option("#by-word", "approved")
    assert page.locator(".row").count() == 1
    page.select_option("#by-word", "")
    page.select_option("#sort", "name")
    names = [each.get_attribute("title") or "" for each in page.locator(".row .name").all()]
    assert names == sorted(names)


def test_the_worst_comes_first(seen: Seen) -> None:
    states = [each.split("\n")[0] for each in seen.page.locator(".row .marks").all_inner_texts()]
    assert states[:4] == ["damaged", "unknown", "paid unusable", "rejected"]


def test_the_keys_work(seen: Seen) -> None:
    page = seen.page
    page.select_option("#by-state", "planned")
    page.evaluate("document.activeElement.blur()")
    first = seen.name
    seen.press("j")
    second = seen.name
    assert first != second
    seen.press("k")
    assert seen.name == first
    for number in "1234":
        seen.press(number)
        assert page.locator(f"#tab-{number}").get_attribute("aria-selected") == "true"
        assert page.locator("#stage").get_attribute("aria-labelledby") == f"tab-{number}"
    seen.press("1")
    assert page.locator("#stage .line").count() == 1
    seen.press("o")
    assert page.locator("#stage .line").count() == 0
    seen.press("2")
    for ground in ("white", "black", "check"):
        seen.press("b")
        assert page.locator(f"#stage .frame.{ground}").count() == 1
    seen.press("a")
    assert seen.name == second  # it went on by itself
    seen.press("x")
    assert seen.text("#tally") == f"1 approved, 1 rejected, {len(EVIL_NAMES) + 4} undecided"
    seen.press("k", "u")
    assert "0 rejected" in seen.text("#tally")
    seen.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("ajx")  # letters in the search are letters
    assert page.locator("#search").input_value() == "ajx"
    page.fill("#search", "")
    seen.press("Escape", "?")
    assert page.locator("#keys").is_visible()
    seen.press("Escape")
    assert not page.locator("#keys").is_visible()


def test_decisions_outlive_a_reload(seen: Seen) -> None:
    seen.page.select_option("#by-state", "answered")
    seen.press("Escape")
    seen.page.click("#approve")
    assert seen.page.locator("#approve").get_attribute("aria-pressed") == "true"
    seen.page.reload()
    assert seen.text("#tally").startswith("1 approved")


def test_a_phone_shows_the_list_first_and_then_a_photo(chrome: Browser, out: Path) -> None:
    with opened(chrome, out / "review.html", **PHONE) as seen:
        page = seen.page
        assert page.locator("#list").is_visible()
        assert not page.locator("#stage").is_visible()
        page.locator(".row", has_text="finished.jpg").tap()
        assert page.locator("#stage").is_visible()
        assert not page.locator("#list").is_visible()
        assert all(each["width"] for each in seen.pictures())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.locator("#approve").tap()
        page.locator("#back").tap()
        assert page.locator("#list").is_visible()
        assert seen.text("#tally").startswith("1 approved")


def test_it_is_dark_where_the_system_is_and_changes_on_demand(chrome: Browser, out: Path) -> None:
    def light(seen: Seen) -> bool:
        colour = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, colour.removeprefix("rgb(").rstrip(")").split(","))) > 384

    for scheme in ("light", "dark"):
        with opened(chrome, out / "review.html", color_scheme=scheme) as seen:
            assert light(seen) is (scheme == "light")
            seen.page.click("#theme")
            assert light(seen) is (scheme == "dark")
            seen.page.reload()
            assert light(seen) is (scheme == "dark")


@sampled("how", ["wide", "dark", "phone"], 1)
def test_axe_finds_no_serious_violation(chrome: Browser, out: Path, how: str) -> None:
    looks: dict[str, dict[str, Any]] = {"wide": {}, "dark": {"color_scheme": "dark"}, "phone": PHONE}
    with opened(chrome, out / "review.html", **looks[how]) as seen:
        places = ["list", "dialog", "1", "2", "3", "4"] if how != "phone" else ["list", "1", "4"]
        for place in places:
            if place == "dialog":
                seen.press("?")
            elif place != "list":
                seen.press("Escape")
                seen.page.fill("#search", "")
                if how != "phone":
                    seen.choose("plain/finished.jpg")
                elif not seen.page.locator("#stage").is_visible():
                    seen.page.locator(".row", has_text="finished.jpg").tap()
                seen.press(place)
                seen.pictures()
            found = Axe().run(seen.page).response["violations"]
            serious = [
                f"{each['id']}: {node['html'][:120]}"
                for each in found
                if each["impact"] in ("serious", "critical")
                for node in each["nodes"]
            ]
            assert serious == [], (how, place)


def test_it_may_be_moved_with_the_photos_and_without_them(chrome: Browser, out: Path, tmp_path: Path) -> None:
    shutil.copytree(out.parent, tmp_path / "share")
    with opened(chrome, tmp_path / "share" / "out" / "review.html") as seen:
        seen.choose("plain/finished.jpg")
        seen.press("4")
        assert [each["src"].startswith((tmp_path / "share").as_uri()) for each in seen.pictures()] == [True, True]
        assert all(each["width"] for each in seen.pictures())
    shutil.move(tmp_path / "share" / "out", tmp_path / "alone")
    with opened(chrome, tmp_path / "alone" / "review.html") as seen:
        seen.choose("plain/finished.jpg")
        seen.press("4")
        seen.page.wait_for_function("() => document.querySelector('#stage img').src.endsWith('/photo.jpg')")
        assert all(each["width"] for each in seen.pictures())
        missing = [each for each in seen.wrong if "/in/" in each or "ERR_FILE_NOT_FOUND" in each]
        assert missing == seen.wrong
        seen.wrong.clear()


@pytest.mark.soak
def test_one_file_holds_everything(chrome: Browser, out: Path, tmp_path: Path) -> None:
    page = write_review(out, tmp_path / "one.html", embed=True)
    assert [each.name for each in tmp_path.iterdir()] == ["one.html"]
    (tmp_path / "elsewhere").mkdir()
    moved = page.rename(tmp_path / "elsewhere" / "one.html")
    with opened(chrome, moved) as seen:
        seen.choose("plain/finished.jpg")
        for view in "1234":
            seen.press(view)
            assert all(each["width"] and each["src"].startswith("data:image/webp") for each in seen.pictures())
        assert [url for url in seen.requests if not url.startswith("data:")] == [moved.as_uri()]


def test_what_is_approved_in_the_page_is_paid_for_and_nothing_else(
    chrome: Browser, keyed: Command, identity: Sandbox
) -> None:
    for number in range(5):
        saved(Path(f"in/{number}.png"), cutout((100 + number, 80)))
    assert keyed("prepare", "in", "-d", SCENE, "--api-url", identity.url, "-o", "out").code == 0
    with opened(chrome, Path("out/review.html")) as seen:
        seen.page.select_option("#sort", "name")
        seen.page.evaluate("document.activeElement.blur()")
        seen.press("a", "x", "j", "a")  # 0 approved, 1 rejected, 2 left open, 3 approved, 4 left open
        with seen.page.expect_download() as coming:
            seen.press("s")
        assert coming.value.suggested_filename == "decisions.json"
        coming.value.save_as("decisions.json")
        seen.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        seen.page.click("#copy")
        seen.page.wait_for_selector("#toast.up")
        copied = seen.page.evaluate("navigator.clipboard.readText()")
    decided = json.loads(Path("decisions.json").read_text())
    assert json.loads(copied) == decided
    names = keys(Path("out"))
    assert decided["approved"] == sorted(names[each] for each in ("0.png", "3.png"))
    assert decided["rejected"] == [names["1.png"]]
    said = keyed("generate", "out", "--api-url", identity.url, "--approved", "decisions.json")
    assert said.code == 0
    assert identity.calls == 2
    paid = {store.load_order(path).origin.source for path in said.paths}
    assert paid == {"in/0.png", "in/3.png"}
    assert "not approved (rejected), so not sent: in/1.png" in said.err
    assert "not approved (undecided), so not sent: in/2.png" in said.err
    assert keyed("generate", "out", "--api-url", identity.url, "--approved", "decisions.json").code == 0
    assert identity.calls == 2
    states = {each["source"]: each["state"] for each in keyed("status", "out", "--json").facts}
    assert states == {f"in/{n}.png": "answered" if n in (0, 3) else "planned" for n in range(5)}
