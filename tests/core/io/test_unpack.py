"""Unpacking untrusted archives: checksums are verified, and anomalies give one message."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gramgan_cli.core.errors import ArchiveDamaged, GramganError
from gramgan_cli.core.io.unpack import unpack

CONTENT = np.random.default_rng(0).bytes(50_000)


def tar_of(path: Path, mode: str = "w:gz", name: str = "set/a.bin") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        member = tarfile.TarInfo(name)
        member.size = len(CONTENT)
        tar.addfile(member, io.BytesIO(CONTENT))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_compression_is_unpacked(mode: str, tmp_path: Path) -> None:
    folder = unpack(tar_of(tmp_path / "x.tar", mode), tmp_path / "out")
    assert (folder / "a.bin").read_bytes() == CONTENT


def test_a_wrong_gzip_checksum_is_found(tmp_path: Path) -> None:
    """tar ends before gzip does: the content is readable, and only gzip's last eight bytes show the error."""
    path = tar_of(tmp_path / "x.tar.gz")
    content = bytearray(path.read_bytes())
    content[-8:-4] = struct.pack("<I", struct.unpack("<I", content[-8:-4])[0] ^ 1)
    path.write_bytes(content)
    with pytest.raises(ArchiveDamaged, match=r"x\.tar\.gz is a damaged archive"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_no_flipped_byte_of_the_content_goes_through(mode: str, tmp_path: Path) -> None:
    path = tar_of(tmp_path / "x.tar", mode)
    whole = path.read_bytes()
    for position in range(len(whole) // 10, len(whole) - 20, len(whole) // 25):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        with pytest.raises(GramganError):
            unpack(path, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def zip_with(path: Path, flags: int = 0, method: int = 0) -> Path:
    """A zip whose only member has the given flags and method in both of its headers."""
    with zipfile.ZipFile(path, "w") as pack:
        pack.writestr("set/a.bin", CONTENT)
    content = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.index(signature) + at
        content[start : start + 4] = struct.pack("<HH", flags, method)
    path.write_bytes(content)
    return path


def test_an_encrypted_zip_is_reported_as_such(tmp_path: Path) -> None:
    with pytest.raises(GramganError, match=r"x\.zip is encrypted"):
        unpack(zip_with(tmp_path / "x.zip", flags=1), tmp_path / "out")


@pytest.mark.parametrize("method", [1, 6, 9, 93, 98, 99])
def test_unknown_methods_are_one_sentence(method: int, tmp_path: Path) -> None:
    """Shrink, Implode, Deflate64, Zstandard, PPMd, AES (APPNOTE 4.4.5); newer Pythons support Zstandard."""
    with pytest.raises(GramganError, match=r"x\.zip"):
        unpack(zip_with(tmp_path / "x.zip", method=method), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("depth", [65, 2000])
def test_deeply_nested_folders_are_refused(depth: int, tmp_path: Path) -> None:
    path = tar_of(tmp_path / "x.tar", "w", "d/" * depth + "a.bin")
    with pytest.raises(GramganError, match="deep"):
        unpack(path, tmp_path / "out")


def test_a_sparse_member_takes_no_disk(tmp_path: Path) -> None:
    """A GNU sparse file: a header of half a kilobyte represents 20 GiB of zeros."""
    member = tarfile.TarInfo("a.bin")
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[483:495] = b"%011o\0" % (20 * 2**30)  # the real size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "x.tar").write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(GramganError, match="not a regular file"):
        unpack(tmp_path / "x.tar", tmp_path / "out")


@pytest.mark.parametrize("name", ["nul\0byte", "a" * 300])
def test_invalid_member_names_give_one_message(name: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("a")
        member.pax_headers = {"path": name}
        tar.addfile(member, io.BytesIO())
    try:
        unpack(tmp_path / "x.tar", tmp_path / "out")
    except GramganError as error:
        assert "x.tar" in str(error)  # noqa: PT017
    else:
        assert "\0" in name, "readers cut the name there"


def test_garbage_after_the_end_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gzip file that continues with zeros after the end of the tar is not read without limit."""
    monkeypatch.setattr("gramgan_cli.core.io.unpack.LARGEST_CONTENT", 2**20)
    plain = tar_of(tmp_path / "x.tar", "w").read_bytes()
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(plain + bytes(2**24)))
    with pytest.raises(GramganError, match="unpacks to more than"):
        unpack(tmp_path / "x.tar.gz", tmp_path / "out")


@pytest.mark.parametrize(("name", "message"), [("mid.tar.gz", "damaged archive"), ("zenc.zip", "encrypted")])
def test_shared_damaged_archives_are_refused(name: str, message: str, shared_cases: Path, tmp_path: Path) -> None:
    with pytest.raises(GramganError, match=message):
        unpack(shared_cases / name, tmp_path / "out")
