"""Results are not enlarged again or confused; nothing is lost if files are replaced, moved or damaged."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from batch_helpers import contents, gramgan, photo_bytes
from PIL import Image
from true_records import assert_records_are_true, put, rows, run

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.locations import locate
from gramgan_cli.engines.batch import leases
from gramgan_cli.engines.batch.report import make_report
from gramgan_cli.engines.batch.run import BatchOptions, Run, local_engine
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.session import open_session

# ---- results are not enlarged again --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("options", [[], ["--outscale", "2"], ["--output-template", "{stem}-{model}"]])
def test_a_folder_skips_results_whatever_they_are_called(tmp_path, kind, options):
    photo = put(tmp_path / f"h/photo.{kind}", 0, kind)
    assert gramgan("upscale", photo, "--model", "nearest", *options, "--format", "same").returncode == 0
    (result,) = set((tmp_path / "h").iterdir()) - {photo}
    for again in ([], ["-r"], ["--outscale", "3"]):
        done = gramgan("upscale", tmp_path / "h", "-o", tmp_path / f"larger{len(again)}", "--model", "nearest", *again)
        assert done.returncode == 0
        assert result.name in done.stderr
        assert "a result of an earlier run" in done.stderr
    for folder in tmp_path.glob("larger*"):
        assert len(contents(folder)) == 1
    renamed = result.rename(result.with_name(f"sea{result.suffix}"))
    own_folder = tmp_path / "more"
    done = gramgan("upscale", tmp_path / "h", "-o", own_folder, "--model", "nearest")
    assert [path.split("_")[0] for path in contents(own_folder)] == ["photo"], "known by its mark alone"
    assert gramgan("upscale", renamed, "-o", own_folder, "--model", "nearest").returncode == 0
    assert len(contents(own_folder)) == 2, "named itself it is enlarged"


def test_earlier_result_folders_are_skipped_by_their_records(tmp_path):
    """Their marks are gone, since another program rewrote the files."""
    put(tmp_path / "h/a.png")
    run(tmp_path / "h", tmp_path / "h/first")
    for path in (tmp_path / "h/first").glob("*.png"):
        image = Image.open(path)
        Image.new(image.mode, image.size).save(path)
        path.rename(path.with_name("renamed.png"))
        shutil.copy(path.with_name("renamed.png"), path)
    (tmp_path / "h/first/renamed.png").unlink()
    work, _ = run(tmp_path / "h", tmp_path / "second", recursive=True)
    assert list(contents(tmp_path / "second")) == ["a_x4.png"]
    assert work.plan.results == [str(tmp_path / "h/first/a_x4.png")]


def test_a_folder_of_nothing_but_results_says_how_to_enlarge_them(tmp_path):
    put(tmp_path / "h/a.png")
    run(tmp_path / "h", tmp_path / "out")
    done = gramgan("upscale", tmp_path / "out", "-o", tmp_path / "more", "--model", "nearest")
    assert done.returncode == 1
    assert "results of earlier runs" in done.stderr
    done = gramgan("upscale", tmp_path / "out/*.png", "-o", tmp_path / "more", "--model", "nearest")
    assert list(contents(tmp_path / "more")) == ["a_x4_x4.png"]


# ---- replaced photos are done again --------------------------------------------------------------------------------


def test_a_replaced_photo_is_done_anew_and_a_touched_one_is_not(tmp_path):
    for name, index in (("same", 1), ("touched", 2), ("replaced", 3)):
        put(tmp_path / f"in/{name}.png", index)
    run(tmp_path / "in", tmp_path / "out")
    before = contents(tmp_path / "out")
    os.utime(tmp_path / "in/touched.png", (1, 1))
    put(tmp_path / "in/replaced.png", 4)
    work, results = run(tmp_path / "in", tmp_path / "out")
    assert [Path(result.input).name for result in results] == ["replaced.png"]
    assert results[0].error is None
    assert work.counts.before == 2
    run(tmp_path / "in", tmp_path / "anew")
    assert contents(tmp_path / "out") == contents(tmp_path / "anew") != before
    assert_records_are_true(tmp_path / "out")


def test_an_emptied_result_is_done_anew(tmp_path):
    put(tmp_path / "in/a.png")
    put(tmp_path / "in/b.png", 1)
    run(tmp_path / "in", tmp_path / "out")
    before = contents(tmp_path / "out")
    (tmp_path / "out/a_x4.png").write_bytes(b"")
    _, results = run(tmp_path / "in", tmp_path / "out")
    assert [result.error for result in results] == [None]
    assert contents(tmp_path / "out") == before
    (tmp_path / "in/b_x4.png").write_bytes(b"")
    done = gramgan("upscale", tmp_path / "in/b.png", "--model", "nearest", "--skip-existing")
    assert done.returncode == 0
    assert (tmp_path / "in/b_x4.png").read_bytes() == before["b_x4.png"]


def test_a_result_that_was_changed_is_neither_done_nor_lost(tmp_path):
    put(tmp_path / "in/a.png")
    run(tmp_path / "in", tmp_path / "out")
    edited = photo_bytes(50, "png")
    (tmp_path / "out/a_x4.png").write_bytes(edited)
    _, results = run(tmp_path / "in", tmp_path / "out")
    assert "a_x4.png already exists" in (results[0].error or "")
    assert (tmp_path / "out/a_x4.png").read_bytes() == edited


# ---- killed runs ---------------------------------------------------------------------------------------------------


def killed(output: Path, results: dict[str, bytes], made_with: str = "") -> None:
    """Recreate the files of a run that was killed after writing these results and before recording them."""
    records = locate(str(output / ".gramgan-results"))
    for name, content in results.items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(content)
        lease = {"owner": "gone", "existed": False, "made_with": made_with}
        (records / f"{leases.FOLDER}/{leases.key_of(name)}.1").write(json.dumps(lease).encode())


@pytest.mark.parametrize("options", [{"model": "bicubic"}, {"quality": 60}, {"seamless": True}])
def test_results_of_a_killed_run_are_adopted_only_by_the_same_run(tmp_path, options):
    for index in range(3):
        put(tmp_path / f"in/{index}.jpg", index, "jpg")
    run(tmp_path / "in", tmp_path / "first")
    left = contents(tmp_path / "first")
    killed(tmp_path / "same", left)
    _, results = run(tmp_path / "in", tmp_path / "same")
    assert [result.seconds for result in results] == [None] * 3, "they were not made again"
    killed(tmp_path / "out", left)
    _, results = run(tmp_path / "in", tmp_path / "out", **options)
    assert all("already exists, made with another model" in (result.error or "") for result in results)
    killed(tmp_path / "out", left)
    run(tmp_path / "in", tmp_path / "out", overwrite=True, **options)
    run(tmp_path / "in", tmp_path / "expected", **options)
    assert contents(tmp_path / "out") == contents(tmp_path / "expected")
    assert_records_are_true(tmp_path / "out")


def test_what_a_killed_run_made_of_another_photo_is_not_adopted(tmp_path):
    put(tmp_path / "in/a.png", 1)
    run(tmp_path / "in", tmp_path / "first")
    killed(tmp_path / "out", contents(tmp_path / "first"))
    put(tmp_path / "in/a.png", 2)
    _, results = run(tmp_path / "in", tmp_path / "out")
    assert "already exists" in (results[0].error or "")


def test_results_whose_ending_follows_from_the_content_are_taken_up(tmp_path):
    pages = [Image.new("RGB", (20, 16), colour) for colour in ("red", "blue")]
    put(tmp_path / "in/photo.png", 0, "jpg")
    pages[0].save(tmp_path / "in/pages.tif", save_all=True, append_images=pages[1:])
    run(tmp_path / "in", tmp_path / "first")
    left = contents(tmp_path / "first")
    assert sorted(left) == ["pages_x4.tif", "photo_x4.jpg"]
    killed(tmp_path / "out", {})
    for name, content in left.items():
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_bytes(content)
    _, results = run(tmp_path / "in", tmp_path / "out")
    assert [(result.error, result.seconds) for result in results] == [(None, None)] * 2


def test_results_without_records_are_recognised_by_marks(tmp_path):
    for index in range(3):
        put(tmp_path / f"in/{index}.png", index)
    run(tmp_path / "in", tmp_path / "out")
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")}
    shutil.rmtree(tmp_path / "out/.gramgan-results")
    work, results = run(tmp_path / "in", tmp_path / "out")
    assert (work.counts.done, work.counts.failed) == (3, 0)
    assert all(result.skipped for result in results)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")} == stamps
    assert_records_are_true(tmp_path / "out")


# ---- moved and identical photos ------------------------------------------------------------------------------------


@pytest.mark.parametrize("moved", ["in", "out", "both"])
def test_moved_folders_go_on(tmp_path, moved):
    for index in range(3):
        put(tmp_path / f"all/in/sub/{index}.png", index)
    run(tmp_path / "all/in", tmp_path / "all/out", recursive=True)
    source, output = tmp_path / "all/in", tmp_path / "all/out"
    if moved == "both":
        (tmp_path / "all").rename(tmp_path / "moved")
        source, output = tmp_path / "moved/in", tmp_path / "moved/out"
    else:
        changed = {"in": source, "out": output}[moved].rename(tmp_path / "elsewhere")
        source, output = (changed, output) if moved == "in" else (source, changed)
    put(source / "new.png", 9)
    work, results = run(source, output, recursive=True)
    assert (work.counts.before, [Path(result.input).name for result in results]) == (3, ["new.png"])
    assert results[0].error is None
    found = make_report([str(output)])
    assert (found.photos, found.done, found.failures, found.left) == (4, 4, (), 0)


def test_two_folders_with_equal_names_do_not_replace_each_other(tmp_path):
    put(tmp_path / "one/a.png", 1)
    put(tmp_path / "two/a.png", 2)
    run(tmp_path / "one", tmp_path / "out")
    before = contents(tmp_path / "out")
    _, results = run(tmp_path / "two", tmp_path / "out")
    assert "already exists" in (results[0].error or "")
    assert contents(tmp_path / "out") == before
    heartbeat = leases.Heartbeat(locate(str(tmp_path / "out/.gramgan-results")))
    try:  # by its JSON file, the first run has not ended
        (note,) = (tmp_path / "out/.gramgan-results/_runs").glob(f"{rows(tmp_path / 'out')[0]['run']}.json")
        facts = json.loads(note.read_text())
        del facts["ended"]
        note.write_text(json.dumps({**facts, "heartbeat": heartbeat.owner}))
        _, results = run(tmp_path / "two", tmp_path / "out", overwrite=True)
    finally:
        heartbeat.close()
    assert "Another run is creating" in (results[0].error or "")
    assert contents(tmp_path / "out") == before
    assert_records_are_true(tmp_path / "out")


def test_a_lease_is_on_the_result(tmp_path):
    """Another run, over another folder, is making the result of that name at the same time."""
    put(tmp_path / "two/a.png", 2)
    records = locate(str(tmp_path / "out/.gramgan-results"))
    other = leases.Holder(records, "another run")
    assert other.take(leases.key_of("a_x4.png"), existed=False) is not None
    work = Run(
        BatchOptions(
            inputs=[str(tmp_path / "two")],
            output=str(tmp_path / "out"),
            upscale=UpscaleOptions(model="nearest", device="cpu", overwrite=True),
        ),
        lambda _: None,
        lambda _: None,
    )
    engine = local_engine(open_session(work.options.upscale))
    try:
        (settled,) = engine(replace(work.worker_options, heartbeat="mine"), work.missing)
    finally:
        other.close()
    assert settled.state == "busy"
    assert not (tmp_path / "out/a_x4.png").exists()


def test_a_result_at_an_input_is_refused_before_the_work(tmp_path):
    put(tmp_path / "in/a.bmp", 1, "bmp")
    put(tmp_path / "in/a.png", 2)
    (tmp_path / "list.txt").write_text("in/a.bmp\nin/a.png\n")
    before = (tmp_path / "in/a.png").read_bytes()
    done = gramgan(
        "upscale", tmp_path / "list.txt", "-o", tmp_path / "in", "--output-template", "{stem}", "--overwrite",
        "--model", "nearest",
    )  # fmt: skip
    assert done.returncode == 1
    assert "would replace the input" in done.stderr
    assert (tmp_path / "in/a.png").read_bytes() == before


def test_two_photos_that_lead_to_one_result_are_refused_before_the_work(tmp_path):
    put(tmp_path / "in/p.jpg", 1, "jpg")
    put(tmp_path / "in/p.png", 2, "jpg")
    for option in ("--overwrite", "--skip-existing"):
        done = gramgan("upscale", tmp_path / "in", "-o", tmp_path / "out", "--model", "nearest", option)
        assert done.returncode == 1
        assert "would both be written to" in done.stderr
        assert not contents(tmp_path / "out")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_undecodable_bytes_and_their_escaped_form_are_different_names(tmp_path):
    put(tmp_path / "in/\\xff.png", 1)
    odd = Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/\xff.png"))
    odd.write_bytes(photo_bytes(2, "png"))
    run(tmp_path / "in", tmp_path / "out")
    assert len({row["key"] for row in rows(tmp_path / "out")}) == 2
    odd.write_bytes(photo_bytes(3, "png"))
    work, results = run(tmp_path / "in", tmp_path / "out")
    assert (work.counts.before, [result.input for result in results]) == (1, [str(odd)])


# ---- damaged records -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("old.parquet", b"PAR1 no more"),
        ("old.parquet", None),
        ("_runs/old.json", b"{"),
        ("_runs/old.json", b"[1]"),
        ("_runs/old.json", None),
    ],
)
def test_damaged_records_are_named_with_the_way_on(tmp_path, file, content):
    put(tmp_path / "in/a.png")
    run(tmp_path / "in", tmp_path / "out")
    damaged = tmp_path / "out/.gramgan-results" / file
    if content is None:
        damaged.symlink_to(tmp_path / "nothing")
    else:
        damaged.write_bytes(content)
    with pytest.raises(GramganError, match=damaged.name) as caught:
        run(tmp_path / "in", tmp_path / "out")
    assert "Delete it" in str(caught.value) or content is None
    damaged.unlink()
    work, _ = run(tmp_path / "in", tmp_path / "out")
    assert work.counts.before == 1


@pytest.mark.parametrize("content", [b"{", b"7", b'{"owner": 5, "existed": "x"}', b"", None])
def test_damaged_leases_cost_one_photo_at_most(tmp_path, content):
    put(tmp_path / "in/a.png")
    folder = tmp_path / "out/.gramgan-results" / leases.FOLDER
    folder.mkdir(parents=True)
    damaged = folder / f"{leases.key_of('a_x4.png')}.1"
    if content is None:
        damaged.symlink_to(tmp_path / "nothing")
    else:
        damaged.write_bytes(content)
    _, (result,) = run(tmp_path / "in", tmp_path / "out")
    if content is None:
        assert str(damaged) in (result.error or "")
    else:
        assert result.error is None


def test_a_report_counts_a_photo_once(tmp_path):
    for index in range(3):
        put(tmp_path / f"in/{index}.png", index)
    (tmp_path / "in/2.png").write_bytes(b"no picture")
    run(tmp_path / "in", tmp_path / "out")
    run(tmp_path / "in", tmp_path / "out", template="{stem}-large")
    parts = sorted(str(path) for path in (tmp_path / "out/.gramgan-results").glob("*.parquet"))
    for manifests in ([str(tmp_path / "out")], [str(tmp_path / "out"), *parts]):
        found = make_report(manifests)
        assert (found.photos, found.done, len(found.failures), found.left) == (3, 2, 1, 0)


def test_an_unreadable_folder_inside_is_one_failure(tmp_path, monkeypatch):
    put(tmp_path / "in/a.png")
    put(tmp_path / "in/sub/b.png", 1)
    put(tmp_path / "in/z/c.png", 2)
    real = Path.iterdir

    def refusing(folder: Path):
        if folder.name == "sub":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(Path, "iterdir", refusing)
    for options in ([], ["--no-records"]):
        output = tmp_path / f"out{len(options)}"
        done = gramgan("upscale", tmp_path / "in", "-r", "-o", output, "--model", "nearest", *options)
        assert done.returncode == 1
        assert f"Can't read the folder {tmp_path / 'in/sub'}: Permission denied." in done.stderr
        assert sorted(contents(output)) == ["a_x4.png", "z/c_x4.png"]
