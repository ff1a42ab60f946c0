"""Batch runs in an object store: a real client against a real local server."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_helpers import contents, gramgan, make_archive
from PIL import Image

pa = pytest.importorskip("pyarrow", reason="needs the extra archive")
pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("s3fs", reason="needs the extra s3")
boto3 = pytest.importorskip("boto3", reason="needs boto3, a client of its own, to look from outside")
server = pytest.importorskip("moto.server", reason="needs moto's S3 server")

COUNT, BROKEN = 200, {3, 50, 51, 120, 199}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket, and a client independent of the code under test."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="photos")
    yield client
    for key in keys(client):
        client.delete_object(Bucket="photos", Key=key)
    client.delete_bucket(Bucket="photos")


def keys(client: Any, prefix: str = "") -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="photos", Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def upload(client: Any, folder: Path, prefix: str) -> None:
    for path in folder.iterdir():
        client.put_object(Bucket="photos", Key=f"{prefix}/{path.name}", Body=path.read_bytes())


def fetch(client: Any, key: str) -> bytes:
    return client.get_object(Bucket="photos", Key=key)["Body"].read()


def rows(client: Any, prefix: str) -> list[dict]:
    parts = [key for key in keys(client, f"{prefix}/.gramgan-results/") if key.endswith(".parquet")]
    return [row for key in parts for row in pq.read_table(io.BytesIO(fetch(client, key))).to_pylist()]


@pytest.mark.slow
def test_a_bucket_of_photos(s3, tmp_path):
    make_archive(tmp_path / "in", COUNT, BROKEN, side=12)
    upload(s3, tmp_path / "in", "in")
    done = gramgan("upscale", "s3://photos/in", "-o", "s3://photos/out", "--model", "nearest")
    assert done.returncode == 1
    assert f"{COUNT - len(BROKEN)} upscaled, 0 done before, {len(BROKEN)} failed" in done.stderr
    found = {key: fetch(s3, key) for key in keys(s3, "out/photo")}
    gramgan("upscale", tmp_path / "in", "-o", tmp_path / "local", "--model", "nearest")
    assert {key.removeprefix("out/"): content for key, content in found.items()} == contents(tmp_path / "local")
    recorded = rows(s3, "out")
    assert len(recorded) == COUNT
    for row in recorded:
        name = row["input"]
        assert row["input_root"] == "s3://photos/in"
        assert (row["error"] is not None) == (int(name[5:9]) in BROKEN)
        if row["error"]:
            assert f"s3://photos/in/{name}" in row["error"]
            assert "/tmp" not in row["error"]
        else:
            content = found[f"out/{row['output']}"]
            assert row["output_sha256"] == hashlib.sha256(content).hexdigest()
            assert (row["output_width"], row["output_height"]) == Image.open(io.BytesIO(content)).size
    assert not keys(s3, "out/.gramgan-results/_leases")
    report = gramgan("batch", "report", "s3://photos/out", "--json")
    assert report.returncode == 1
    assert len(json.loads(report.stdout)["failures"]) == len(BROKEN)

    stamps = {entry["Key"]: entry["LastModified"] for entry in s3.list_objects_v2(Bucket="photos")["Contents"]}
    s3.delete_object(Bucket="photos", Key="out/photo0000_x4.png")
    again = gramgan("upscale", "s3://photos/in", "-o", "s3://photos/out", "--model", "nearest")
    assert f"1 upscaled, {COUNT - len(BROKEN) - 1} done before, {len(BROKEN)} failed" in again.stderr
    for entry in s3.list_objects_v2(Bucket="photos", Prefix="out/photo")["Contents"]:
        assert entry["Key"] == "out/photo0000_x4.png" or entry["LastModified"] == stamps[entry["Key"]]
    assert fetch(s3, "out/photo0000_x4.png") == found["out/photo0000_x4.png"]


def test_a_manifest_in_a_bucket_may_mix_locations(s3, tmp_path):
    paths = make_archive(tmp_path / "in", 4, side=12)
    upload(s3, tmp_path / "in", "lists/in")
    listed = [f"in/{paths[0].name}", f"s3://photos/lists/in/{paths[1].name}", str(paths[2]), "s3://photos/nowhere.png"]
    content = io.BytesIO()
    pq.write_table(pa.table({"path": listed}), content)
    s3.put_object(Bucket="photos", Key="lists/some.parquet", Body=content.getvalue())
    done = gramgan("upscale", "s3://photos/lists/some.parquet", "-o", tmp_path / "out", "--model", "nearest", "--json")
    assert done.returncode == 1
    results = json.loads(done.stdout)["results"]
    assert [row["error"] for row in results if row["error"]] == ["There is no file s3://photos/nowhere.png."]
    assert sorted(Path(name).name for name in contents(tmp_path / "out")) == [
        "photo0000_x4.png",
        "photo0001_x4.jpg",
        "photo0002_x4.webp",
    ]
    back = gramgan("upscale", paths[3], "-o", "s3://photos/single/one.png", "--model", "nearest")
    assert back.returncode == 0, back.stderr
    assert Image.open(io.BytesIO(fetch(s3, "single/one.png"))).size == (60, 48)


def test_foreign_files_in_a_bucket_are_not_replaced(s3, tmp_path):
    make_archive(tmp_path / "in", 2, side=12)
    s3.put_object(Bucket="photos", Key="out/photo0000_x4.png", Body=b"mine")
    done = gramgan("upscale", tmp_path / "in", "-o", "s3://photos/out", "--model", "nearest")
    assert done.returncode == 1
    assert "s3://photos/out/photo0000_x4.png already exists" in done.stderr
    assert fetch(s3, "out/photo0000_x4.png") == b"mine"
    gramgan("upscale", tmp_path / "in", "-o", "s3://photos/out", "--model", "nearest", "--overwrite")
    assert fetch(s3, "out/photo0000_x4.png") != b"mine"


def test_a_missing_bucket_is_named(s3, tmp_path):
    make_archive(tmp_path / "in", 1, side=12)
    for arguments in (["s3://nobody/in", "-o", tmp_path / "out"], [tmp_path / "in", "-o", "s3://nobody/out"]):
        done = gramgan("upscale", *arguments, "--model", "nearest")
        assert done.returncode == 1
        assert "s3://nobody" in done.stderr
        assert "Traceback" not in done.stderr
