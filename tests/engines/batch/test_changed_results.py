"""Records and marks with other photos' results, changed results, and non-files among the records."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from batch_helpers import contents, gramgan
from true_records import assert_records_are_true, put, rows, run

from gramgan_cli.core.errors import GramganError
from gramgan_cli.engines.batch import leases
from gramgan_cli.engines.batch.report import make_report
from gramgan_cli.engines.upscale import opening


def test_the_result_of_another_photo_is_not_taken_for_ones_own(tmp_path):
    """``--skip-existing`` leaves it unchanged and unrecorded."""
    put(tmp_path / "one/a.png", 1)
    put(tmp_path / "two/a.png", 2)
    run(tmp_path / "one", tmp_path / "out")
    _, results = run(tmp_path / "two", tmp_path / "out", skip_existing=True)
    assert str(tmp_path / "one/a.png") in (results[0].error or "")
    assert [row["input_root"] for row in rows(tmp_path / "out") if row["output"]] == [str(tmp_path / "one")]


def test_a_result_that_was_changed_since_is_not_called_done(tmp_path):
    """Changed to other bytes of the same length. A copy with a new time still counts as the result."""
    put(tmp_path / "in/a.png", 1)
    put(tmp_path / "in/b.png", 2)
    run(tmp_path / "in", tmp_path / "out")
    later = (tmp_path / "out/a_x4.png").stat().st_mtime + 100
    result = tmp_path / "out/a_x4.png"
    result.write_bytes(bytes(result.stat().st_size))
    for name in ("a_x4.png", "b_x4.png"):
        os.utime(tmp_path / "out" / name, (later, later))
    work, results = run(tmp_path / "in", tmp_path / "out")
    assert [Path(job.source).name for job, _ in work.there] == ["b.png"]
    assert "already exists" in (results[0].error or "")


def test_a_photo_replaced_in_a_moved_folder_gets_a_new_result(tmp_path):
    put(tmp_path / "in/a.png", 1)
    run(tmp_path / "in", tmp_path / "out")
    before = contents(tmp_path / "out")
    (tmp_path / "in").rename(tmp_path / "photos")
    put(tmp_path / "photos/a.png", 2)
    _, results = run(tmp_path / "photos", tmp_path / "out")
    assert results[0].error is None
    assert contents(tmp_path / "out") != before
    assert_records_are_true(tmp_path / "out")


def test_another_folder_does_not_take_the_names_of_one_that_was_moved(tmp_path):
    """The records still have the old path, where nothing is; the other folder's photo is no successor."""
    for index, name in enumerate(("a.png", "b.png", "c.png")):
        put(tmp_path / "in" / name, index)
    run(tmp_path / "in", tmp_path / "out")
    (tmp_path / "in").rename(tmp_path / "photos")
    run(tmp_path / "photos", tmp_path / "out")
    before = contents(tmp_path / "out")
    put(tmp_path / "other/a.png", 7)
    put(tmp_path / "other/z.png", 8)
    _, results = run(tmp_path / "other", tmp_path / "out")
    failed = {Path(one.input).name: one.error for one in results if one.error}
    assert list(failed) == ["a.png"]
    assert "already exists" in failed["a.png"]
    assert contents(tmp_path / "out") == before | {"z_x4.png": contents(tmp_path / "out")["z_x4.png"]}
    put(tmp_path / "photos/a.png", 9)  # a photo of the folder itself that was replaced
    _, results = run(tmp_path / "photos", tmp_path / "out")
    assert [Path(one.input).name for one in results if not one.error] == ["a.png"]
    assert_records_are_true(tmp_path / "out")


def test_a_result_older_than_its_photo_is_named_where_it_is_skipped(tmp_path):
    """Next to the photos there are no records, but the mark identifies the picture."""
    photo = put(tmp_path / "a.png", 1)
    assert gramgan("upscale", photo, "--model", "nearest").returncode == 0
    made = (tmp_path / "a_x4.png").stat().st_mtime
    os.utime(photo, (made + 10, made + 10))
    again = gramgan("upscale", photo, "--model", "nearest", "--skip-existing")
    assert "Warning" not in again.stderr, "the same picture with a new time"
    put(photo, 2)
    os.utime(photo, (made + 10, made + 10))
    again = gramgan("upscale", photo, "--model", "nearest", "--skip-existing")
    assert again.returncode == 0
    assert "from another photo" in again.stderr


@pytest.mark.parametrize("model", ["photo-gan", "auto@1"])
def test_results_cleaned_by_other_weights_are_not_mixed(tmp_path, monkeypatch, model):
    put(tmp_path / "in/a.png", 1)
    run(tmp_path / "in", tmp_path / "out", model=model, backend="torch")
    work, _ = run(tmp_path / "in", tmp_path / "out", model=model, backend="torch")
    assert work.counts.before == 1
    monkeypatch.setattr("gramgan_cli.engines.batch.weights.weights_sha256", lambda _model, _loaded: "0" * 64)
    with pytest.raises(GramganError, match="contains results of other weights of the model 'restore'"):
        run(tmp_path / "in", tmp_path / "out", model=model, backend="torch")


def test_results_of_automatic_denoising_are_named_by_their_options(tmp_path):
    put(tmp_path / "in/a.png", 1)
    run(tmp_path / "in", tmp_path / "out", model="auto@1", backend="torch")
    with pytest.raises(GramganError, match="results of `denoise` auto with `style` 1, not of the model 'nearest'"):
        run(tmp_path / "in", tmp_path / "out")


def test_a_kept_result_needs_no_readable_photo(tmp_path, monkeypatch):
    photo = put(tmp_path / "a.png", 1)
    assert gramgan("upscale", photo, "--model", "nearest").returncode == 0
    later = (tmp_path / "a_x4.png").stat().st_mtime + 10
    os.utime(photo, (later, later))

    def unreadable(_source: str, name: str) -> bytes:
        raise GramganError(f"Can't read {name}: Permission denied.")

    monkeypatch.setattr(opening, "_bytes", unreadable)
    again = gramgan("upscale", photo, "--model", "nearest", "--skip-existing")
    assert (again.returncode, "Permission" in again.stderr) == (0, False)


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are made as on Unix")
def test_circular_links_fail_one_photo(tmp_path):
    put(tmp_path / "in/c.png", 1)
    (tmp_path / "in/a.png").symlink_to("b.png")
    (tmp_path / "in/b.png").symlink_to("a.png")
    done = gramgan("upscale", tmp_path / "in", "-o", tmp_path / "out", "--model", "nearest")
    assert done.returncode == 1
    assert "1 upscaled, 0 skipped, 2 failed" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are made as on Unix")
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_among_the_records_is_named_with_a_way_on(tmp_path, kind):
    def make(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "link":
            path.symlink_to("nowhere")
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.mkdir()
        return path

    put(tmp_path / "in/a.png", 1)
    records = tmp_path / "out/.gramgan-results"
    lease = make(records / f"_leases/{leases.key_of('a_x4.png')}.1")
    _, results = run(tmp_path / "in", tmp_path / "out")
    assert lease.name in (results[0].error or "")
    assert "Delete it" in (results[0].error or "")
    lease.rmdir() if kind == "folder" else lease.unlink()
    _, results = run(tmp_path / "in", tmp_path / "out")
    assert results[0].error is None
    if kind != "folder":  # which Parquet readers ignore
        part = make(records / "part.parquet")
        with pytest.raises(GramganError, match=r"part\.parquet.*Delete it"):
            run(tmp_path / "in", tmp_path / "out")
        part.unlink()
    shutil.rmtree(records)
    if kind != "folder":
        make(records)
        with pytest.raises(GramganError, match="gramgan-results is"):
            run(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("wrong", [{"photos": "x"}, {"inputs": 5}, {"shard": []}, {"output": None}, {"run": {}}])
def test_a_note_of_a_run_with_values_of_other_kinds_is_damaged(tmp_path, wrong):
    put(tmp_path / "in/a.png", 1)
    run(tmp_path / "in", tmp_path / "out")
    (note,) = (tmp_path / "out/.gramgan-results/_runs").glob("*.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | wrong))
    with pytest.raises(GramganError, match="is damaged"):
        run(tmp_path / "in", tmp_path / "out")
    with pytest.raises(GramganError, match="is damaged"):
        make_report([str(tmp_path / "out")])
