"""``gramgan data``: LR folders, unpacking of untrusted archives, downloads from a local server."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.data.catalogue import SOURCES, Archive, Source
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.unpack import unpack
from gramgan_cli.engines.data import prepare


def png(seed: int = 0, size: tuple[int, int] = (24, 16)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_lr_is_bit_for_bit_the_distributed_one(shared_data: Path, tmp_path: Path, name: str) -> None:
    run("data", "make-lr", shared_data / name / "HR", tmp_path, "--border", "replicate")
    expected = sorted((shared_data / name / "LR_x4").iterdir())
    assert [path.name for path in sorted(tmp_path.iterdir())] == [path.name for path in expected]
    for path in expected:
        ours, theirs = Image.open(tmp_path / path.name), Image.open(path)
        assert ours.mode == theirs.mode
        assert np.array_equal(np.asarray(ours), np.asarray(theirs)), path.name


def test_make_lr_crops_first_and_keeps_grey(tmp_path: Path) -> None:
    hr, lr = tmp_path / "hr", tmp_path / "lr"
    hr.mkdir()
    Image.fromarray(np.full((19, 30), 77, np.uint8)).save(hr / "grey.bmp")
    (hr / "colour.png").write_bytes(png(size=(31, 18)))
    report = json.loads(run("data", "make-lr", hr, lr, "--json"))
    assert sorted(report["written"]) == [str(lr / "colour.png"), str(lr / "grey.png")]
    assert Image.open(lr / "colour.png").size == (7, 4)
    grey = Image.open(lr / "grey.png")
    assert (grey.mode, grey.size) == ("L", (7, 4))
    assert np.all(np.asarray(grey) == 77)


def test_make_lr_refuses_before_it_writes(tmp_path: Path) -> None:
    hr, lr = tmp_path / "hr", tmp_path / "lr"
    for folder in (hr, lr):
        folder.mkdir()
    (hr / "a.png").write_bytes(png(1))
    (hr / "b.png").write_bytes(png(2))
    (lr / "b.png").write_bytes(b"precious")
    with pytest.raises(GramganError, match=r"b\.png already exists.*`overwrite`"):
        prepare.make_lr_folder(hr, lr, 4, "symmetric")
    assert [path.name for path in lr.iterdir()] == ["b.png"]
    prepare.make_lr_folder(hr, lr, 4, "symmetric", overwrite=True)
    assert Image.open(lr / "b.png").size == (6, 4)
    (hr / "a.jpg").write_bytes(png(3))
    with pytest.raises(GramganError, match=r"a\.jpg and .*a\.png would both become"):
        prepare.make_lr_folder(hr, lr, 4, "symmetric", overwrite=True)
    with pytest.raises(GramganError, match="can't both be"):
        prepare.make_lr_folder(hr, hr, 4, "symmetric")


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "hr").mkdir()
    (tmp_path / "hr" / "text.png").write_text("not a picture")
    with pytest.raises(GramganError, match=r"text\.png can't be read as an image"):
        prepare.make_lr_folder(tmp_path / "hr", tmp_path / "lr", 4, "symmetric")
    (tmp_path / "hr" / "text.png").write_bytes(png(size=(3, 40)))
    with pytest.raises(GramganError, match=r"text\.png has 3x40 pixels"):
        prepare.make_lr_folder(tmp_path / "hr", tmp_path / "lr", 4, "symmetric")


def test_unreadable_pictures_do_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "hr").mkdir()
    for name in ("a.png", "c.png", "e.png"):
        (tmp_path / "hr" / name).write_bytes(png(1))
    for name in ("b.png", "d.png"):
        (tmp_path / "hr" / name).write_text("not a picture")
    with pytest.raises(GramganError, match=r"2 of 5 pictures can't be reduced: .*b\.png .*d\.png .*`overwrite`"):
        prepare.make_lr_folder(tmp_path / "hr", tmp_path / "lr", 4, "symmetric")
    assert sorted(path.name for path in (tmp_path / "lr").iterdir()) == ["a.png", "c.png", "e.png"]


def make_tar(path: Path, members: dict[str, bytes], special: tarfile.TarInfo | None = None) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if special:
            tar.addfile(special)
    return path


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as pack:
        for name, content in members.items():
            pack.writestr(name, content)
    return path


def files(folder: Path) -> list[str]:
    """All files in a folder, except lock files, which are kept."""
    every = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return sorted(path.relative_to(folder).as_posix() for path in every)


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_unpacking_leaves_the_wrapper_and_hidden_files_away(tmp_path: Path, make: object) -> None:
    members = {"Set_HR/a.png": b"a", "Set_HR/deep/b.png": b"b", "Set_HR/._a.png": b"-", "__MACOSX/Set_HR/a.png": b"-"}
    archive = make(tmp_path / "x.archive", members)  # type: ignore[operator]
    assert files(unpack(archive, tmp_path / "out" / "HR")) == ["a.png", "deep/b.png"]
    with pytest.raises(GramganError, match="already exists"):
        unpack(archive, tmp_path / "out" / "HR")


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:/evil", "a\\..\\..\\evil"])
def test_members_with_paths_outside_the_folder_are_refused(tmp_path: Path, make: object, name: str) -> None:
    archive = make(tmp_path / "x.archive", {"good": b"a", name: b"b"})  # type: ignore[operator]
    with pytest.raises(GramganError, match="leads outside its folder"):
        unpack(archive, tmp_path / "deep" / "out")
    assert files(tmp_path) == ["x.archive"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    special = tarfile.TarInfo("link")
    special.type, special.linkname = kind, "../../outside"
    archive = make_tar(tmp_path / "x.tar.gz", {"good": b"a"}, special)
    with pytest.raises(GramganError, match="'link', which is not a regular file"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_damaged_archives_are_named(tmp_path: Path, keep: int) -> None:
    whole = make_tar(tmp_path / "x.tar.gz", {"a": np.random.default_rng(0).bytes(5000)})
    whole.write_bytes(whole.read_bytes()[:keep])
    with pytest.raises(GramganError, match=r"x\.tar\.gz is a damaged archive"):
        unpack(whole, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gramgan_cli.core.io.unpack.LARGEST_CONTENT", 1000)
    archive = make_zip(tmp_path / "x.zip", {"a": bytes(900), "b": bytes(101)})
    with pytest.raises(GramganError, match="unpacks to more than 1000 bytes"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL that it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_pull_then_list_then_find(served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = served
    hr = make_tar(folder / "Set5_HR.tar.gz", {f"Set5_HR/{n}.png": png(n) for n in range(3)})
    make_zip(folder / "Set5_LR_x4.zip", {f"Set5_LR_x4/{n}.png": png(n, (6, 4)) for n in range(3)})
    checksum = hashlib.sha256(hr.read_bytes()).hexdigest()
    archives = (Archive(f"{address}/{hr.name}", "HR", checksum), Archive(f"{address}/Set5_LR_x4.zip", "LR_x4"))
    monkeypatch.setitem(SOURCES, "Set5", Source("Set5", 5, "Ask the makers.", "https://example.org", archives))
    data = tmp_path / "data"
    result = CliRunner().invoke(app, ["data", "pull", "set5", "--data-dir", str(data)], catch_exceptions=False)
    assert result.stdout.strip() == str(data / "Set5")
    assert "Ask the makers." in result.stderr
    assert files(data) == [f"Set5/{kind}/{n}.png" for kind in ("HR", "LR_x4") for n in range(3)]
    hr.unlink()
    run("data", "pull", "Set5", "--data-dir", data)
    rows = {row["name"]: row for row in json.loads(run("data", "list", "--json", "--data-dir", data))["datasets"]}
    assert rows["Set5"]["folder"] == str(data / "Set5")
    assert (rows["Set5"]["pictures"], rows["Set5"]["layout"]) == (3, "HR + LR_x4")
    assert rows["Manga109"]["folder"] is None
    assert not rows["Manga109"]["can_be_pulled"]
    assert run("data", "list", "--quiet", "--data-dir", data).split() == [str(data / "Set5")]


def test_pull_refuses_a_wrong_checksum(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = served
    make_tar(folder / "x.tar.gz", {"a.png": png()})
    source = Source("Set5", 1, "", "", (Archive(f"{address}/x.tar.gz", "HR", "0" * 64),))
    with pytest.raises(GramganError, match="SHA-256"):
        prepare.pull(source, tmp_path / "data", lambda _: lambda _done, _total: None)
    assert files(tmp_path / "data") == []


def test_datasets_without_a_download_say_so(tmp_path: Path) -> None:
    with pytest.raises(GramganError, match=r"Manga109 has no public download.*www\.manga109\.org"):
        prepare.pull(prepare.source_of("manga109"), tmp_path, lambda _: lambda _done, _total: None)
    with pytest.raises(GramganError, match="Did you mean Urban100"):
        prepare.source_of("urban10")


def test_the_catalogue_is_the_known_names() -> None:
    from gramgan_cli.core.data.datasets import NAMES

    assert tuple(SOURCES) == NAMES
