"""Answers and access control of the web interface's server."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jpeg_photos import EXAMPLES
from PIL import Image, ImageFilter
from ui_server import UiServer

pytest.importorskip("starlette", reason="needs the extra [ui]")
pytest.importorskip("uvicorn", reason="needs the extra [ui]")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends Ctrl-C the POSIX way")


class Client:
    """A client that sends requests like a browser, with its cookie."""

    def __init__(self, server: UiServer) -> None:
        self.server = server
        status, headers, _ = self.ask("GET", server.address.removeprefix(server.origin))
        assert status == 303
        self.cookie = headers["set-cookie"].partition(";")[0]

    cookie = ""

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        sent = {"Cookie": self.cookie, "Origin": self.server.origin} if self.cookie else {}
        connection.request(method, path, body, {**sent, **{name.replace("_", "-"): v for name, v in headers.items()}})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def json(self, method: str, path: str, value: Any = None) -> Any:
        status, _, content = self.ask(method, path, None if value is None else json.dumps(value).encode())
        assert status == 200, content
        return json.loads(content)

    def finished(self) -> list[dict[str, Any]]:
        """All runs, oldest first, once none is working."""
        for _ in range(1200):
            runs = self.json("GET", "/api/state")["runs"]
            if all(run["state"] not in ("waiting", "working") for run in runs):
                return list(reversed(runs))
            time.sleep(0.1)
        raise AssertionError(runs)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UiServer]:
    with UiServer(tmp_path_factory.mktemp("ui")) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: UiServer) -> Client:
    return Client(server)


def photo(path: Path, width: int = 40, height: int = 30, seed: int = 0, **options: Any) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def test_only_the_first_browser_with_the_token_gets_in(server: UiServer, client: Client) -> None:
    stranger = Client.__new__(Client)
    stranger.server = server
    for path in ("/", "/api/state", "/page/main.js", server.address.removeprefix(server.origin), "/?token=wrong"):
        assert stranger.ask("GET", path)[0] == 403, path
    assert client.ask("GET", "/")[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}"])
def test_other_hosts_names_are_refused(client: Client, host: str) -> None:
    assert client.ask("GET", "/", Host=host.format(port=client.server.port))[0] == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:{port}"])
def test_requests_from_other_pages_are_refused(client: Client, origin: str) -> None:
    origin = origin.format(port=client.server.port)
    assert client.ask("POST", "/api/photos?name=a.png", b"x", Origin=origin)[0] == 403
    assert client.ask("DELETE", "/api/photos/a", Origin=origin)[0] == 403


def test_other_sites_can_not_embed_pictures(client: Client) -> None:
    assert client.ask("GET", "/api/state", Sec_Fetch_Site="cross-site")[0] == 403
    assert client.ask("GET", "/api/state", Sec_Fetch_Site="same-site")[0] == 403
    assert client.ask("GET", "/api/state", Sec_Fetch_Site="same-origin")[0] == 200


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/state", "/nothing", "/api/photos/none/crop"])
def test_every_answer_forbids_what_lies_elsewhere(client: Client, path: str) -> None:
    _, headers, _ = client.ask("GET", path)
    policy = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_the_server_listens_on_this_computer_only(server: UiServer) -> None:
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for address in others:
        with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
            socket.create_connection((address, server.port), timeout=2)


def test_a_preview_has_the_values_of_the_whole_result(client: Client, tmp_path: Path) -> None:
    source = photo(tmp_path / "noise.png", 240, 220)
    key = client.json("POST", "/api/open", {"path": str(source)})["key"]
    _, headers, content = client.ask("GET", f"/api/photos/{key}/preview?x=30&y=20&denoise=0&texture=0&tab=a&number=1")
    assert headers["content-type"] == "image/png"
    (tmp_path / "preview.png").write_bytes(content)
    client.json("POST", "/api/runs", {"photos": [key], "denoise": 0, "texture": 0})
    run = client.finished()[-1]
    assert (run["state"], run["download"]) == ("done", False)
    assert run["items"][0]["output"] == str(tmp_path / "noise_x4.png")
    whole = np.asarray(Image.open(tmp_path / "noise_x4.png"))
    part = np.asarray(Image.open(tmp_path / "preview.png"))
    # Whole photos may run on another backend, which rounds differently.
    assert np.abs(part.astype(int) - whole[80:848, 120:888]).max() <= 1


def test_a_preview_of_a_compressed_photo_has_the_values_of_the_whole_result(client: Client, tmp_path: Path) -> None:
    # The blocks are smoothed before the network runs, and they begin at the corner of the whole photo.
    Image.open(EXAMPLES / "coffee.png").convert("RGB").resize((300, 230)).save(tmp_path / "cup.jpg", quality=25)
    key = client.json("POST", "/api/open", {"path": str(tmp_path / "cup.jpg")})["key"]
    _, _, content = client.ask("GET", f"/api/photos/{key}/preview?x=53&y=21&denoise=1&texture=0&tab=a&number=1")
    (tmp_path / "preview.png").write_bytes(content)
    client.json("POST", "/api/runs", {"photos": [key], "denoise": 1, "texture": 0, "format": "png"})
    assert client.finished()[-1]["state"] == "done"
    whole = np.asarray(Image.open(tmp_path / "cup_x4.png"))
    part = np.asarray(Image.open(tmp_path / "preview.png"))
    assert np.abs(part.astype(int) - whole[84:852, 212:980]).max() <= 2


def test_each_photo_of_a_folder_may_get_the_denoising_that_it_needs(client: Client, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    sharp = (
        Image.open(Path(__file__).resolve().parents[2] / "examples" / "chelsea.png").convert("RGB").resize((150, 100))
    )
    sharp.crop((0, 0, 64, 64)).save(tmp_path / "in" / "sharp.png")
    sharp.filter(ImageFilter.GaussianBlur(1.2)).crop((0, 0, 64, 64)).save(tmp_path / "in" / "soft.png")
    amounts = {}
    for name in ("sharp", "soft"):
        facts = client.json("POST", "/api/open", {"path": str(tmp_path / "in" / f"{name}.png")})
        amounts[name] = facts["automatic"]
    assert amounts == {"sharp": 0.25, "soft": 1.0}
    folders = {"folder": str(tmp_path / "in"), "output": str(tmp_path / "out")}
    client.json("POST", "/api/runs", {**folders, "denoise": "auto", "texture": 1})
    assert client.finished()[-1]["counts"] == {"done": 2, "skipped": 0, "failed": 0}
    for name, amount in amounts.items():
        client.json(
            "POST", "/api/runs",
            {"folder": str(tmp_path / "in"), "output": str(tmp_path / name), "denoise": amount, "texture": 1},
        )  # fmt: skip
        client.finished()
        found = np.asarray(Image.open(tmp_path / "out" / f"{name}_x4.png"))
        np.testing.assert_array_equal(found, np.asarray(Image.open(tmp_path / name / f"{name}_x4.png")))


def test_an_upload_keeps_its_name_and_metadata_and_is_downloaded(client: Client, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera maker"
    content = photo(tmp_path / "holiday.jpg", exif=exif, quality=90).read_bytes()
    status, _, answer = client.ask("POST", "/api/photos?name=../../caf%C3%A9.jpg", content)
    facts = json.loads(answer)
    assert (status, facts["name"], facts["uploaded"], facts["width"]) == (200, "café.jpg", True, 40)
    options = {"denoise": 1, "texture": 0, "size": {"factor": 2}, "format": "jpg", "quality": 80}
    client.json("POST", "/api/runs", {"photos": [facts["key"]], **options})
    run = client.finished()[-1]
    assert run["state"] == "done"
    status, headers, content = client.ask("GET", f"/api/runs/{run['key']}/0")
    assert status == 200
    assert headers["content-disposition"].startswith("attachment")
    (tmp_path / "result.jpg").write_bytes(content)
    with Image.open(tmp_path / "result.jpg") as result:
        assert (result.format, result.size, result.getexif()[0x010F]) == ("JPEG", (80, 60), "Camera maker")
    client.json("DELETE", f"/api/photos/{facts['key']}")
    assert facts["key"] not in [row["key"] for row in client.json("GET", "/api/state")["photos"]]
    assert not list(client.server.temporary.rglob("café.jpg"))


def test_a_broken_upload_is_refused_with_a_message_and_deleted(client: Client) -> None:
    status, _, content = client.ask("POST", "/api/photos?name=broken.jpg", b"\xff\xd8\xff not a photo")
    assert status == 400
    assert "broken.jpg" in json.loads(content)["error"]
    assert str(client.server.temporary) not in json.loads(content)["error"]
    assert not list(client.server.temporary.rglob("broken.jpg"))


def test_a_folder_run_lists_done_skipped_and_failed(client: Client, tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    photo(tmp_path / "b.png", seed=1)
    photo(tmp_path / "b_x4.png", 160, 120)
    (tmp_path / "c.png").write_bytes(b"no picture")
    photo(tmp_path / "d.bmp", 160, 120)
    (tmp_path / "d.bmp").write_bytes((tmp_path / "d.bmp").read_bytes()[:-9000])
    client.json("POST", "/api/runs", {"folder": str(tmp_path), "denoise": 1, "texture": 0})
    run = client.finished()[-1]
    assert run["counts"] == {"done": 1, "skipped": 1, "failed": 2}
    assert [(item["name"], item["state"]) for item in run["items"]] == [
        ("a.png", "done"), ("b.png", "skipped"), ("c.png", "failed"), ("d.bmp", "failed"),
    ]  # fmt: skip
    assert "c.png" in run["items"][2]["error"]
    assert run["items"][3]["error"].endswith("Copy it again from its source.")  # the page offers no --allow-truncated


def test_a_missing_folder_is_reported(client: Client, tmp_path: Path) -> None:
    status, _, content = client.ask("GET", f"/api/folder?path={tmp_path / 'none'}")
    assert status == 400
    assert "none" in json.loads(content)["error"]


def test_folders_are_listed_with_their_photos(client: Client, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "text.txt").touch()
    photo(tmp_path / "a.png")
    found = client.json("GET", f"/api/folder?path={tmp_path}")
    assert (found["folders"], found["photos"], found["parent"]) == (["inside"], ["a.png"], str(tmp_path.parent))


@pytest.mark.parametrize(
    "wanted", [{"denoise": 2, "texture": 0}, {"denoise": 0, "texture": 0, "format": "exe"},
               {"denoise": 0, "texture": 0, "quality": 0}, {"denoise": 0, "texture": 0, "size": {"factor": 1000}}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(client: Client, wanted: dict[str, Any]) -> None:
    assert client.ask("POST", "/api/runs", json.dumps({"photos": [], **wanted}).encode())[0] == 400


def test_ctrl_c_during_a_run_ends_cleanly_and_leaves_nothing(tmp_path: Path) -> None:
    source = photo(tmp_path / "large.png", 1200, 1200)
    with UiServer(tmp_path / "temporary") as server:
        client = Client(server)
        client.ask("POST", "/api/photos?name=upload.png", photo(tmp_path / "small.png").read_bytes())
        assert list(server.temporary.rglob("upload.png"))
        key = client.json("POST", "/api/open", {"path": str(source)})["key"]
        client.json("POST", "/api/runs", {"photos": [key], "denoise": 1, "texture": 0})
        while client.json("GET", "/api/state")["runs"][0]["state"] == "waiting":
            time.sleep(0.1)
        code, errors = server.interrupt()
    assert code == 0, errors
    assert "Traceback" not in errors, errors
    assert list(server.temporary.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.png", "small.png", "temporary"]


def test_uploads_of_a_killed_process_go_with_the_next_start(tmp_path: Path) -> None:
    with UiServer(tmp_path / "temporary") as killed:
        Client(killed).ask("POST", "/api/photos?name=upload.png", photo(tmp_path / "small.png").read_bytes())
        killed.process.kill()
        killed.process.wait()
        left = list(killed.temporary.iterdir())
        assert left
    with UiServer(tmp_path / "temporary") as running, UiServer(tmp_path / "temporary") as other:
        now = set(running.temporary.iterdir())
        assert not now & set(left)
        assert len(now) == 2  # a server does not delete another's folder
        assert other.port != running.port


def test_a_used_port_is_reported(server: UiServer) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gramgan_cli", "ui", "--no-browser", "--port", str(server.port)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert str(server.port) in done.stderr
    assert "Traceback" not in done.stderr


AUDITED = """
import sys
def hook(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        place = arguments[1]
        assert isinstance(place, str) or place[0] in ("127.0.0.1", "::1"), place
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        assert arguments[0] in (None, "127.0.0.1", "localhost"), arguments
sys.addaudithook(hook)
from gramgan_cli.cli.app import main
main()
"""


def test_nothing_is_sent_anywhere(tmp_path: Path) -> None:
    with UiServer(tmp_path / "temporary", command=("-c", AUDITED)) as server:
        client = Client(server)
        content = photo(tmp_path / "a.png").read_bytes()
        key = json.loads(client.ask("POST", "/api/photos?name=a.png", content)[2])["key"]
        assert client.ask("GET", f"/api/photos/{key}/preview?denoise=1&texture=0")[0] == 200
        client.json("POST", "/api/runs", {"photos": [key], "denoise": 1, "texture": 0})
        assert client.finished()[0]["state"] == "done"
        code, errors = server.interrupt()
    assert (code, "AssertionError" in errors) == (0, False), errors


def test_sigterm_ends_a_run_like_ctrl_c(tmp_path: Path) -> None:
    with UiServer(tmp_path / "temporary") as server:
        server.process.send_signal(signal.SIGTERM)
        server.process.communicate(timeout=120)
        assert server.process.returncode == 0
    assert os.listdir(server.temporary) == []  # noqa: PTH208
