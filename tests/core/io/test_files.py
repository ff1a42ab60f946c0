"""Writing files: which may be replaced, and cleaning up after killed processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.files import UNFINISHED, check_regular_target, clear_leftovers, replacing


def test_files_links_to_files_and_nothing_are_targets(tmp_path: Path) -> None:
    file, link, nothing = tmp_path / "file", tmp_path / "link", tmp_path / "nothing"
    file.write_text("before")
    link.symlink_to(file)
    for path in (file, link, nothing):
        check_regular_target(path)
        with replacing(path) as temporary:
            temporary.write_text("after")
        assert path.read_text() == "after"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "link to a pipe"])
def test_non_regular_files_are_not_replaced(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target = Path("target")
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("target")
    elif kind == "folder":
        target.mkdir()
    else:
        os.mkfifo("pipe")
        target.symlink_to("pipe")
    before = target.lstat()
    with pytest.raises(GramganError, match=r"target is (not a regular file|a folder)"), replacing(target):
        pytest.fail("it must be refused before anything is written")
    assert target.lstat() == before
    assert not list(tmp_path.glob(f".*{UNFINISHED}"))


WRITER = """
import sys, time
from pathlib import Path
from gramgan_cli.core.io.files import replacing
with replacing(Path(sys.argv[1])) as temporary:
    print(temporary, flush=True)
    time.sleep(60)
"""


def test_leftovers_of_killed_processes_are_deleted_and_files_in_use_kept(tmp_path: Path) -> None:
    call = [sys.executable, "-c", WRITER, str(tmp_path / "result.png")]
    killed, living = (subprocess.Popen(call, stdout=subprocess.PIPE, text=True) for _ in range(2))
    assert killed.stdout is not None
    assert living.stdout is not None
    left, written = Path(killed.stdout.readline().strip()), Path(living.stdout.readline().strip())
    killed.kill()
    killed.wait()
    try:
        clear_leftovers(tmp_path)
        assert not left.exists()
        assert written.exists()
    finally:
        living.kill()
        living.wait()
