"""Take the screenshots of the web interface for docs/ui.md: a desktop window, and a dark phone window.

    python tools/make_screenshots.py

Needs the extra [ui] and Chromium, and uses the helpers of the interface's tests.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from ui_server import Browser, UiServer  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
WINDOWS = {"ui": (1440, 1000, False), "ui_phone": (375, 812, True)}
READY = "document.querySelector('#after').complete && document.querySelector('#after').naturalWidth > 0"


def main() -> None:
    """Open the page with two photos and take both screenshots."""
    with tempfile.TemporaryDirectory() as folder:
        photos = [Path(folder) / "coffee.jpg", Path(folder) / "old-photo.jpg"]
        for photo, example in zip(photos, ("coffee.png", "chelsea.png"), strict=True):
            Image.open(ROOT / "examples" / example).convert("RGB").save(photo, quality=60)
        browser = Browser(Path(folder) / "browser")
        try:
            with UiServer(Path(folder) / "server") as server:
                browser.goto(server.address)
                for name, (width, height, dark) in WINDOWS.items():
                    browser.window(width, height, dark)
                    browser.goto(server.origin + "/")
                    if name == "ui":
                        browser.drop(*photos)
                    browser.wait(f"document.querySelectorAll('#photos li').length === 2 && {READY}")
                    browser.wait("!document.querySelector('#stage').classList.contains('busy')")
                    browser.run("document.querySelector('#timing').textContent = ''")  # depends on this computer
                    path = PICTURES / f"{name}.jpg"
                    browser.screenshot(Path(folder) / "page.png")
                    Image.open(Path(folder) / "page.png").convert("RGB").save(path, quality=88)
                    print(path)
        finally:
            browser.close()


if __name__ == "__main__":
    main()
