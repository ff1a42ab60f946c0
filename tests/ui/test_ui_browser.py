"""The web interface in a headless Chromium, operated like by a user."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ui_server import Browser, UiServer

pytest.importorskip("starlette", reason="needs the extra [ui]")
pytest.importorskip("uvicorn", reason="needs the extra [ui]")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends Ctrl-C the POSIX way")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LOADED = "document.querySelector('#after').complete && document.querySelector('#after').naturalWidth > 0"
AFTER = "document.querySelector('#after').src"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(tmp_path_factory.mktemp("browser"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UiServer]:
    with UiServer(tmp_path_factory.mktemp("ui")) as running:
        browser.goto(running.address)
        yield running


@pytest.fixture
def page(server: UiServer, browser: Browser) -> Browser:
    """The page in a large window, without open photos or runs."""
    browser.window(1440, 900)
    browser.goto(server.origin + "/")
    assert server.process.poll() is None
    browser.run(
        "(async () => { const state = await (await fetch('api/state')).json();"
        "for (const run of state.runs) await fetch(`api/runs/${run.key}`, {method: 'DELETE'});"
        "for (const photo of state.photos) await fetch(`api/photos/${photo.key}`, {method: 'DELETE'}); })()"
    )
    browser.goto(server.origin + "/")
    return browser


def small(path: Path, width: int = 300, height: int = 220) -> Path:
    Image.open(EXAMPLES / "chelsea.png").convert("RGB").resize((width, height)).save(path)
    return path


def opened(page: Browser, *files: Path) -> None:
    page.drop(*files)
    page.wait(LOADED)


def settled(page: Browser) -> str:
    """URL of the preview, once it has settled."""
    time.sleep(0.3)
    page.wait(f"!document.querySelector('#stage').classList.contains('busy') && {LOADED}")
    return str(page.run(AFTER))


def test_a_dropped_photo_is_previewed_and_the_result_saved(page: Browser, tmp_path: Path) -> None:
    page.save_downloads(tmp_path / "saved")
    opened(page, small(tmp_path / "cat.png"))
    assert page.run("document.querySelector('#before').naturalWidth") == 192
    assert page.run("document.querySelector('#after').naturalWidth") == 768
    assert "300 x 220" in page.run("document.querySelector('#facts').textContent")
    page.click("#run")
    page.wait("document.querySelector('#runs a.button')")
    page.click("#runs a.button")
    result = tmp_path / "saved" / "cat_x4.png"
    while not result.is_file():
        time.sleep(0.05)
    with Image.open(result) as image:
        assert image.size == (1200, 880)


def test_knobs_change_the_preview(page: Browser, tmp_path: Path) -> None:
    opened(page, small(tmp_path / "cat.png"))
    seen = {settled(page)}
    for knob in ("denoise", "texture"):
        page.run(f"document.querySelector('#{knob}').focus()")
        page.key("ArrowLeft", "ArrowLeft", 37)
        page.key("ArrowRight", "ArrowRight", 39)
        page.key("ArrowRight", "ArrowRight", 39)
        page.key("Home" if knob == "denoise" else "End", knob, 36 if knob == "denoise" else 35)
        seen.add(settled(page))
    assert len(seen) == 3
    assert page.run("document.querySelector('#denoise-value').textContent") == "0.00"
    assert page.run("document.querySelector('#texture-value').textContent") == "1.00"


def test_the_knob_can_follow_each_photo(page: Browser, tmp_path: Path) -> None:
    opened(page, small(tmp_path / "cat.png"))
    page.click("#automatic")
    facts = page.run("fetch('api/state').then(answer => answer.json())")["photos"][-1]
    assert page.run("document.querySelector('#denoise').disabled")
    assert page.run("Number(document.querySelector('#denoise').value)") == pytest.approx(facts["automatic"], abs=0.03)
    settled(page)
    page.click("#automatic")
    assert not page.run("document.querySelector('#denoise').disabled")


def test_the_divider_follows_mouse_and_keys(page: Browser, tmp_path: Path) -> None:
    opened(page, small(tmp_path / "cat.png"))
    x, y = page.middle("#divider span")
    page.mouse("mousePressed", x, y, button="left", clickCount=1)
    page.mouse("mouseMoved", x + 100, y, button="left", buttons=1)
    page.mouse("mouseReleased", x + 100, y, button="left", clickCount=1)
    now = "Number(document.querySelector('#divider').getAttribute('aria-valuenow'))"
    width = page.run("document.querySelector('#stage').getBoundingClientRect().width")
    assert page.run(now) == pytest.approx(50 + 100 * 100 / width, abs=1)
    page.key("Home", "Home", 36)
    assert page.run(now) == 0
    page.key("ArrowRight", "ArrowRight", 39)
    assert page.run(now) == 2
    assert page.run("getComputedStyle(document.querySelector('#after')).clipPath") == "inset(0px 0px 0px 2%)"


def test_mouse_wheel_touch_and_keys_zoom(page: Browser, tmp_path: Path) -> None:
    opened(page, small(tmp_path / "cat.png"))
    zoom = "parseInt(document.querySelector('#zoom').textContent)"
    x, y = page.middle("#stage")
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-400)
    page.wait(f"{zoom} > 200")
    page.run("document.querySelector('#divider').focus()")
    page.key("0", "Digit0", 48)
    assert page.run(zoom) == 100
    page.touch("touchStart", (x - 20, y), (x + 20, y))
    page.touch("touchMove", (x - 60, y), (x + 60, y))
    page.touch("touchEnd")
    assert page.run(zoom) == pytest.approx(300, abs=10)
    page.run("document.querySelector('#divider').focus()")
    page.key("-", "Minus", 189)
    assert page.run(zoom) < 260


def test_the_shown_part_follows_keys_and_clicks(page: Browser, tmp_path: Path) -> None:
    opened(page, EXAMPLES / "chelsea.png")
    before = page.run("document.querySelector('#before').src")
    page.run("document.querySelector('#overview').focus()")
    left = page.run("parseFloat(document.querySelector('#frame').style.left)")
    page.key("ArrowLeft", "ArrowLeft", 37)
    assert page.run("parseFloat(document.querySelector('#frame').style.left)") < left
    page.wait(f"document.querySelector('#before').src !== '{before}'")


def test_a_run_is_cancelled_and_leaves_nothing(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    large = small(tmp_path / "photos" / "large.png", 2400, 1800)
    page.run(
        f"fetch('api/open', {{method: 'POST', body: JSON.stringify({{path: {str(large)!r}}}),"
        "headers: {'Content-Type': 'application/json'}})"
    )
    page.wait(LOADED)
    page.click("#run")
    page.wait("document.querySelector('#runs progress')")
    page.click("#runs button")
    page.wait("document.querySelector('#runs li').textContent.includes('cancelled')")
    for _ in range(600):
        if [path.name for path in large.parent.iterdir()] == ["large.png"]:
            return
        time.sleep(0.1)
    raise AssertionError(list(large.parent.iterdir()))


def test_a_broken_file_is_reported_and_the_others_open(page: Browser, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 nothing")
    opened(page, broken, small(tmp_path / "good.png"))
    page.wait("document.querySelector('#message').classList.contains('bad')")
    assert "broken.jpg" in page.run("document.querySelector('#message').textContent")
    assert page.run("document.querySelectorAll('#photos .pick').length") == 1


def test_two_tabs_share_photos_and_keep_their_knobs(page: Browser, server: UiServer, tmp_path: Path) -> None:
    opened(page, small(tmp_path / "cat.png"))
    usual = page.run("document.querySelector('#texture').value")
    first = page.new_tab()
    page.goto(server.origin + "/")
    page.wait(LOADED)
    page.run(
        "(k => { k.value = 1 - k.value; k.dispatchEvent(new Event('input')); })(document.querySelector('#texture'))"
    )
    second_preview = settled(page)
    second = page.use_tab(first)
    assert page.run("document.querySelector('#texture').value") == usual
    page.click("#photos .drop-one")
    page.wait("document.querySelectorAll('#photos .pick').length === 0")
    page.use_tab(second)
    page.wait("document.querySelectorAll('#photos .pick').length === 0")
    assert second_preview.startswith("blob:")
    page.use_tab(first)


def test_a_folder_is_run_from_the_dialog(page: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "album"
    folder.mkdir()
    small(folder / "a.png", 60, 40)
    (folder / "b.png").write_bytes(b"broken")
    page.click("#browse")
    page.wait("document.querySelector('#entries button')")
    page.run(f"document.querySelector('#path').value = {str(tmp_path)!r}")
    page.run("document.querySelector('#folder-form').requestSubmit()")
    page.wait("document.querySelector('#entries').textContent.includes('album')")
    page.run("[...document.querySelectorAll('#entries button')].at(-1).click()")
    page.wait("document.querySelector('#folder-message').textContent.includes('2 photos')")
    page.click("#folder-run")
    page.wait("document.querySelector('#runs li').textContent.includes('1 done, 0 skipped, 1 failed of 2')")
    assert (folder / "a_x4.png").is_file()


def test_the_page_loads_nothing_from_other_hosts(page: Browser, server: UiServer, tmp_path: Path) -> None:
    opened(page, small(tmp_path / "cat.png"))
    loaded = page.run("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert len(loaded) > 5
    assert [name for name in loaded if not name.startswith((server.origin, "blob:" + server.origin, "data:"))] == []


@pytest.mark.parametrize("width", [375, 1440])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_the_window_and_can_be_read(page: Browser, tmp_path: Path, width: int, dark: bool) -> None:
    page.window(width, 800, dark)
    opened(page, small(tmp_path / "cat.png"))
    assert page.run("document.documentElement.scrollWidth") == width
    page.screenshot(tmp_path / "page.png")
    corner = np.asarray(Image.open(tmp_path / "page.png").convert("L"))[2, 2]
    assert (corner < 60) == dark
    small_targets = page.run(
        "[...document.querySelectorAll('button, select, input[type=range]')].filter(e => e.offsetParent &&"
        "e.getBoundingClientRect().height < 24).map(e => e.id || e.className)"
    )
    assert small_targets == ["denoise", "texture"] or small_targets == []


def test_every_control_has_a_name_for_screen_readers(page: Browser, tmp_path: Path) -> None:
    opened(page, small(tmp_path / "cat.png"))
    page._send("Accessibility.enable")
    nodes = page._send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "slider", "spinbutton", "combobox", "textbox", "checkbox", "link", "image", "progressbar"}
    nameless = [
        node["role"]["value"]
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in roles and not node.get("name", {}).get("value")
    ]
    assert nameless == []
