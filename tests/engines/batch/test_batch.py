"""Batch runs in one process: listing, records, second runs, leases."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
from batch_helpers import contents, gramgan, make_archive, photo_bytes
from batch_runs import batch_options, planned, run, table
from PIL import Image

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.resize.sizes import SizeChoice
from gramgan_cli.engines.batch.listing import find_photos, of_shard, parse_shard
from gramgan_cli.engines.batch.report import make_report
from gramgan_cli.engines.batch.run import Run, local_engine
from gramgan_cli.engines.batch.weights import look_up
from gramgan_cli.engines.upscale.inputs import Search
from gramgan_cli.engines.upscale.session import open_session

pa = pytest.importorskip("pyarrow", reason="needs the extra archive")
pq = pytest.importorskip("pyarrow.parquet")


def test_every_photo_has_a_row_that_tells_the_truth(tmp_path):
    photos = make_archive(tmp_path / "in", 12, broken={4})
    work, _ = run(tmp_path / "in", tmp_path / "out")
    rows = {row["input"]: row for row in table(tmp_path / "out")}
    assert rows.keys() == {path.name for path in photos}
    assert {row["input_root"] for row in rows.values()} == {str(tmp_path / "in")}
    for index, path in enumerate(photos):
        row = rows[path.name]
        assert row["input_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert row["model"] == "nearest"
        if index == 4:
            assert "photo0004.bmp" in row["error"]
            assert row["output"] is row["output_sha256"] is None
            assert row["tries"] == 2
            continue
        result = tmp_path / "out" / row["output"]
        assert row["input_modified"] == path.stat().st_mtime_ns
        assert row["error"] is None
        assert row["output_sha256"] == hashlib.sha256(result.read_bytes()).hexdigest()
        assert (row["output_width"], row["output_height"]) == Image.open(result).size
        assert (row["input_width"], row["input_height"]) == Image.open(path).size
        assert (row["input_bytes"], row["output_bytes"]) == (path.stat().st_size, result.stat().st_size)
        assert row["seconds"] > 0
    assert (work.counts.done, work.counts.failed) == (11, 1)
    assert not list((tmp_path / "out/.gramgan-results/_leases").iterdir())


def test_a_second_run_does_only_what_is_missing(tmp_path):
    photos = make_archive(tmp_path / "in", 8, broken={2})
    run(tmp_path / "in", tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("photo*")}
    lost = next(iter(before))
    lost.unlink()
    photos[2].write_bytes(photo_bytes(2, "webp"))
    (tmp_path / "in/photo0008.png").write_bytes(photo_bytes(8, "png"))
    work, rows = run(tmp_path / "in", tmp_path / "out")
    assert sorted(Path(row.input).name[:9] for row in rows) == sorted([lost.name[:9], "photo0002", "photo0008"])
    assert work.counts.before == 6
    for path, stamp in before.items():
        assert path == lost or path.stat().st_mtime_ns == stamp
    found = make_report([str(tmp_path / "out")])
    assert (found.photos, found.done, found.failures, found.left) == (9, 9, (), 0)


def test_results_equal_those_of_the_plain_command(tmp_path):
    photos = make_archive(tmp_path / "in", 10)
    run(tmp_path / "in", tmp_path / "out")
    assert gramgan("upscale", *photos, "-o", tmp_path / "plain", "--model", "nearest").returncode == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "plain")
    assert len(contents(tmp_path / "out")) == 10


@pytest.mark.parametrize("kind", ["txt", "jsonl", "parquet"])
def test_a_manifest_lists_photos(tmp_path, kind):
    photos = make_archive(tmp_path / "in/a", 4) + make_archive(tmp_path / "in/b", 3)
    named = [f"in/a/{photos[0].name}", *map(str, photos[1:]), str(tmp_path / "in/nowhere.png")]
    manifest = tmp_path / f"list.{kind}"
    if kind == "txt":
        manifest.write_bytes("\r\n".join(["# my photos", "  # indented", *named, "", named[1], ""]).encode())
    elif kind == "jsonl":
        manifest.write_text("\n".join(json.dumps({"path": name, "of": 1}) for name in named))
    else:
        pq.write_table(pa.table({"path": named, "of": list(range(len(named)))}), manifest)
    work, rows = run(manifest, tmp_path / "out")
    assert len(contents(tmp_path / "out")) == 7
    assert (tmp_path / "out/a/photo0000_x4.png").is_file()
    assert [row.error for row in rows if row.error] == [f"There is no file {tmp_path / 'in/nowhere.png'}."]
    assert work.counts.photos == 8


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"path": "x.png"}\n{"file": "y.png"}\n', "Line 2 of"),
        ("a.jsonl", b'{"path": "x.png"}\n' + b"[" * 100_000, "Line 2 of"),
        ("a.jsonl", b'{"path": "\\ud800.png"}', "not valid text"),
        ("a.jsonl", b'{"path": "a\\u0000.png"}', "no file can be called"),
        ("a.txt", b"a\0.png", "no file can be called"),
        ("a.txt", b"\n\n", "lists no photos"),
        ("a.txt", b"\xff\xfe\xff", "not UTF-8"),
        ("a.parquet", b"PAR1", "not a readable Parquet"),
    ],
)
def test_a_bad_manifest_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GramganError, match=message) as caught:
        list(find_photos([str(tmp_path / name)], Search(recursive=False, output=None)))
    assert name in str(caught.value)


def test_two_results_at_one_path_are_refused(tmp_path):
    make_archive(tmp_path / "in", 1)
    (tmp_path / "in/photo0000.tif").write_bytes(b"x")
    with pytest.raises(GramganError, match="would both be written to"):
        planned(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("output", ["in", "in/results"])
def test_results_inside_the_folder_of_photos_are_skipped(tmp_path, output):
    make_archive(tmp_path / "in", 3)
    for _ in range(2):
        work, _ = run(tmp_path / "in", tmp_path / output, recursive=True)
        assert work.counts.photos == 3
    assert work.counts.before == 3


def test_results_may_lie_above_the_photos(tmp_path):
    make_archive(tmp_path / "photos/in", 3)
    for _ in range(2):
        work, _ = run(tmp_path / "photos/in", tmp_path / "photos")
        assert work.counts.photos == 3
    assert work.counts.before == 3


def test_different_spellings_of_a_folder_count_as_one(tmp_path, monkeypatch):
    make_archive(tmp_path / "in", 2)
    monkeypatch.chdir(tmp_path)
    for text in ("in", "in/", "./in", tmp_path / "in"):
        run(text, tmp_path / "out")
        assert make_report([str(tmp_path / "out")]).left == 0


def test_existing_results_are_reported_by_their_real_path(tmp_path):
    """A TIFF with two pages becomes a TIFF, although its name alone suggests a PNG."""
    (tmp_path / "in").mkdir()
    pages = [Image.new("RGB", (20, 16), colour) for colour in ("red", "blue")]
    pages[0].save(tmp_path / "in/pages.tif", save_all=True, append_images=pages[1:])
    words = ("upscale", tmp_path / "in", "-o", tmp_path / "out", "--model", "nearest", "--quiet")
    for _ in range(2):
        assert gramgan(*words).stdout.split() == [str(tmp_path / "out/pages_x4.tif")]


@pytest.mark.parametrize(("numbers", "count"), [(range(4), 4), (range(1, 5), 4), (range(3), 3)])
def test_shards_add_up_to_the_whole(tmp_path, numbers, count):
    make_archive(tmp_path / "in", 40, broken={7})
    photos = planned(tmp_path / "in", tmp_path / "out")
    parts = [of_shard(photos, *parse_shard(f"{number}/{count}")) for number in numbers]
    assert sorted(photo.source for part in parts for photo in part) == sorted(photo.source for photo in photos)
    assert all(parts)
    # Shards are fixed: without the other photos, the shard is the same.
    assert of_shard(parts[0], *parse_shard(f"{numbers[0]}/{count}")) == parts[0]


def test_shards_together_make_one_complete_run(tmp_path):
    make_archive(tmp_path / "in", 20, broken={7})
    for number in range(3):
        run(tmp_path / "in", tmp_path / "out", shard=(number, 3))
        found = make_report([str(tmp_path / "out")])
        assert (found.left == 0) == (number == 2)
        assert found.photos == 20
    assert (found.done, [Path(failure.input).name for failure in found.failures]) == (19, ["photo0007.webp"])
    run(tmp_path / "in", tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.parametrize("text", ["3", "4/3", "-1/3", "1/0", "a/b", "1/2/3"])
def test_an_invalid_shard_is_refused(text):
    with pytest.raises(UsageError, match="`shard`"):
        parse_shard(text)


def test_other_settings_are_refused_or_replace(tmp_path):
    make_archive(tmp_path / "in", 3)
    run(tmp_path / "in", tmp_path / "out")
    with pytest.raises(GramganError, match="contains results of the model 'nearest', not of the model 'bicubic'"):
        run(tmp_path / "in", tmp_path / "out", model="bicubic")
    with pytest.raises(GramganError, match=r"made with other settings \(size\)"):
        run(tmp_path / "in", tmp_path / "out", size=SizeChoice(2.0), template="{stem}_x4")
    before = contents(tmp_path / "out")
    _, rows = run(tmp_path / "in", tmp_path / "out", model="bicubic", overwrite=True)
    assert len(rows) == 3
    assert contents(tmp_path / "out") != before
    _, rows = run(tmp_path / "in", tmp_path / "out", model="bicubic")
    assert not rows


def test_overwriting_does_all_again_but_what_a_stopped_run_did(tmp_path):
    make_archive(tmp_path / "in", 4)
    run(tmp_path / "in", tmp_path / "out")
    damaged = tmp_path / "out/photo0003_x4.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(photo_bytes(99, "png"))
    asked = batch_options(tmp_path / "in", tmp_path / "out", overwrite=True)

    def stop_after_one(_row: object) -> None:
        raise KeyboardInterrupt

    stopped = Run(asked, stop_after_one, lambda _counts: None)
    with pytest.raises(KeyboardInterrupt):
        stopped.go(local_engine(open_session(asked.upscale)))
    work, rows = run(tmp_path / "in", tmp_path / "out", overwrite=True)
    assert 1 <= work.counts.before < 4
    assert len(rows) == 4 - work.counts.before
    assert damaged.read_bytes() == whole
    _, rows = run(tmp_path / "in", tmp_path / "out", overwrite=True)
    assert len(rows) == 4


PLAIN = ["input", "output", "input_size", "output_size", "frames", "model", "device", "backend", "tile", "seconds"]
PLAIN += ["skipped", "warnings", "error"]


def test_a_folder_into_a_folder_keeps_records_unasked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_archive(tmp_path / "in", 5, broken={1})
    first = gramgan("upscale", "in", "-o", "out", "--model", "nearest", "--json")
    assert first.returncode == 1
    rows = json.loads(first.stdout)["results"]
    assert all(set(PLAIN) <= set(row) for row in rows)
    assert {row["input"] for row in rows} == {f"in/{path.name}" for path in (tmp_path / "in").iterdir()}
    assert {row["output"] for row in rows} == {f"out/photo000{i}_x4.{e}" for i, e in
                                               ((0, "png"), (2, "webp"), (3, "png"), (4, "png"))} | {None}  # fmt: skip
    assert next(row["error"] for row in rows if row["error"]).startswith("in/photo0001.jpg is not an image")
    assert gramgan("batch", "report", "out", "--quiet").stdout.strip() == str(tmp_path / "in/photo0001.jpg")
    monkeypatch.chdir(tmp_path / "in")
    here = gramgan("upscale", ".", "-o", "../out", "--model", "nearest", "--json")
    assert {row["input"] for row in json.loads(here.stdout)["results"]} == {path.name for path in Path().iterdir()}
    monkeypatch.chdir(tmp_path)
    second = gramgan("upscale", "in/", "-o", "out", "--model", "nearest", "--json")
    assert second.returncode == 1
    rows = json.loads(second.stdout)["results"]
    assert all(set(PLAIN) <= set(row) for row in rows)
    assert [row["skipped"] for row in rows] == [True] * 4 + [False]
    output = gramgan("upscale", "in", "-o", "out", "--model", "nearest")
    assert output.stdout.count("(already existed)") == 4
    assert "failed: in/photo0001.jpg" in output.stderr
    assert "0 upscaled, 4 skipped, 1 failed. Records: out" in output.stderr
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/photo0000_x4.png").write_bytes(photo_bytes(99, "png"))
    output = gramgan("upscale", "in", "-o", "foreign", "--model", "nearest", "--skip-existing")
    assert "foreign/photo0000_x4.png (already existed)" in output.stdout
    assert "3 upscaled, 1 skipped, 1 failed." in output.stderr


def test_without_records_nothing_but_results_is_written(tmp_path, monkeypatch):
    make_archive(tmp_path / "in", 3)
    words = ("upscale", tmp_path / "in", "-o", tmp_path / "out", "--model", "nearest")
    assert gramgan(*words, "--no-records").returncode == 0
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".jpg", ".png", ".webp"]
    refused = gramgan(*words, "--no-records", "--shard", "1/2")
    assert refused.returncode == 2
    assert "--no-records" in refused.stderr
    refused = gramgan(*words, "--no-records", "--results", tmp_path / "elsewhere")
    assert refused.returncode == 2
    assert "--results" in refused.stderr
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    asked = gramgan("upscale", tmp_path / "in", "-o", tmp_path / "two", "--model", "nearest")
    assert asked.returncode == 1
    assert "--no-records" in asked.stderr
    assert not (tmp_path / "two").exists()


def test_foreign_files_are_not_replaced(tmp_path):
    make_archive(tmp_path / "in", 3)
    (tmp_path / "out").mkdir()
    foreign = tmp_path / "out/photo0000_x4.png"
    foreign.write_bytes(photo_bytes(99, "png"))
    _, rows = run(tmp_path / "in", tmp_path / "out")
    assert foreign.read_bytes() == photo_bytes(99, "png")
    assert next(row.error for row in rows if row.error).startswith(f"{foreign} already exists.")
    _, rows = run(tmp_path / "in", tmp_path / "out", skip_existing=True)
    assert [(row.output, row.model, row.error) for row in rows] == [(str(foreign), None, None)]
    assert foreign.read_bytes() == photo_bytes(99, "png")


def test_one_photo_may_be_given_its_results_name(tmp_path):
    make_archive(tmp_path / "in", 1)
    run(tmp_path / "in/photo0000.png", tmp_path / "out/big.webp")
    assert Image.open(tmp_path / "out/big.webp").format == "WEBP"
    make_archive(tmp_path / "in", 2)
    with pytest.raises(UsageError, match="is a file"):
        run(tmp_path / "in", tmp_path / "out/big.webp")
    one = tmp_path / "in/photo0000.png"
    with pytest.raises(UsageError, match=r"does not write '\.bmp' files"):
        run(one, tmp_path / "out/big.bmp")
    with pytest.raises(UsageError, match="is a WebP file, but `format` is png"):
        run(one, tmp_path / "out/other.webp", format="png")


def test_a_misnamed_photo_goes_by_its_content(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/photo.png").write_bytes(photo_bytes(0, "jpg"))
    for _ in range(2):
        work, _ = run(tmp_path / "in", tmp_path / "out")
        assert list(contents(tmp_path / "out")) == ["photo_x4.jpg"]
    assert work.counts.before == 1


def test_a_mixture_is_identified_by_its_weights():
    first, second = look_up("clean+clean-gan@0.5"), look_up("clean+clean-gan@0.5")
    assert first.name == "clean+clean-gan@0.5"
    assert first.sha256 == second.sha256 == hashlib.sha256(first.content or b"").hexdigest()
    assert first.sha256 != look_up("clean").sha256


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text_are_recorded(tmp_path):
    make_archive(tmp_path / "in", 1)
    odd = os.fsdecode(os.fsencode(tmp_path / "in") + b"/\xff\xe4.png")
    Path(odd).write_bytes(photo_bytes(5, "png"))
    for before in (0, 2):
        work, _ = run(tmp_path / "in", tmp_path / "out")
        assert work.counts.before == before
    assert "\\xff\\xe4.png" in [row["input"] for row in table(tmp_path / "out")]
    done = gramgan("upscale", tmp_path / "in", "-o", tmp_path / "out", "--model", "nearest", "--json")
    assert json.loads(done.stdout)["counts"]["before"] == 2


def test_the_report_names_failures_and_exits_by_them(tmp_path):
    make_archive(tmp_path / "in", 5, broken={1})
    done = gramgan("upscale", tmp_path / "in", "-o", tmp_path / "out", "--shard", "1/1", "--model", "nearest")
    assert done.returncode == 1
    assert "4 upscaled, 0 done before, 1 failed" in done.stderr
    parts = sorted((tmp_path / "out/.gramgan-results").glob("*.parquet"))
    for manifests in ([tmp_path / "out"], [tmp_path / "out/.gramgan-results"], parts):
        output = gramgan("batch", "report", *manifests)
        assert output.returncode == 1
        assert "photo0001.jpg" in output.stdout
        assert "4 done, 1 failed, 0 left" in output.stdout
    assert gramgan("batch", "report", tmp_path / "out", "--quiet").stdout.strip() == str(tmp_path / "in/photo0001.jpg")
    (tmp_path / "in/photo0001.jpg").write_bytes(photo_bytes(1, "jpg"))
    again = gramgan("upscale", tmp_path / "in", "-o", tmp_path / "out", "--model", "nearest", "--json")
    assert again.returncode == 0
    done = [row for row in json.loads(again.stdout)["results"] if not row["skipped"]]
    assert [Path(row["input"]).name for row in done] == ["photo0001.jpg"]
    assert done[0]["output_size"] == [100, 96]
    assert gramgan("batch", "report", tmp_path / "out").returncode == 0
    assert gramgan("batch", "report", tmp_path / "in").returncode == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "local"], "--output"),
        (["-o", "out", "--engine", "local", "--workers", "2"], "--engine ray"),
        (["-o", "out", "--address", "auto"], "--address"),
        (["-o", "out", "--shard", "9/3"], "--shard"),
        (["-o", "nothing://there/out"], "nothing://there/out"),
    ],
)
def test_invalid_options_are_refused(tmp_path, options, message):
    make_archive(tmp_path / "in", 1)
    done = gramgan("upscale", tmp_path / "in", "--model", "nearest", *options)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
