"""Workers of batch runs: leases, dead workers, and runs that stop or work at the same time."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from batch_helpers import command, contents, make_archive, report
from batch_runs import batch_options, run, table
from PIL import Image

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.locations import Missing, locate
from gramgan_cli.engines.batch import leases
from gramgan_cli.engines.batch.records import note_run
from gramgan_cli.engines.batch.report import make_report
from gramgan_cli.engines.batch.run import Run, local_engine
from gramgan_cli.engines.upscale.session import open_session

pa = pytest.importorskip("pyarrow", reason="needs the extra archive")
pq = pytest.importorskip("pyarrow.parquet")


HOLDER = """
import sys, time
from gramgan_cli.core.io.locations import locate
from gramgan_cli.engines.batch.leases import Holder
holder = Holder(locate(sys.argv[1]), sys.argv[2])
print(holder.take("photo", False), flush=True)
time.sleep(60)
"""


def hold(records: Path, run: str) -> subprocess.Popen[str]:
    """A separate process with the lease of "photo"."""
    call = [sys.executable, "-c", HOLDER, str(records), run]
    holder = subprocess.Popen(call, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert "number=1" in holder.stdout.readline()
    return holder


def test_a_lease_belongs_to_one_worker_until_it_dies(tmp_path):
    records = locate(str(tmp_path))
    holder = hold(tmp_path, "its run")
    mine = leases.Holder(records, "my run")
    assert mine.take("photo", False) is None
    assert leases.is_leased(records, "photo")
    holder.kill()
    holder.wait()
    assert not leases.is_leased(records, "photo")
    lease = mine.take("photo", True)
    assert lease is not None
    assert (lease.deaths, lease.existed) == (1, False)
    leases.release(records, [("photo", lease.number)])
    assert not leases.leased_keys(records)
    mine.close()


def test_a_living_run_keeps_its_dead_workers_leases_valid(tmp_path):
    records = locate(str(tmp_path))
    heartbeat = leases.Heartbeat(records)
    holder = hold(tmp_path, heartbeat.owner)
    holder.kill()
    holder.wait()
    other, own = leases.Holder(records, "another run"), leases.Holder(records, heartbeat.owner)
    assert other.take("photo", False) is None
    lease = own.take("photo", False)
    assert lease is not None
    assert lease.number == 2
    own.close()
    assert other.take("photo", False) is None
    heartbeat.close()
    lease = other.take("photo", False)
    assert lease is not None
    assert lease.number == 3
    other.close()


def test_a_lease_of_another_computer_expires_with_its_heartbeat(tmp_path, monkeypatch):
    records = locate(str(tmp_path))
    elsewhere = {"owner": "another-host-1-abc"}
    sign = records / f"{leases.WORKERS}/another-host-1-abc"
    assert not leases.is_valid(records, elsewhere)
    sign.write(json.dumps({"time": time.time() - 60}).encode())
    assert leases.is_valid(records, elsewhere)
    sign.write(json.dumps({"time": time.time() - 1000}).encode())
    assert not leases.is_valid(records, elsewhere)


def test_a_photo_that_kills_its_workers_is_given_up(tmp_path):
    photos = make_archive(tmp_path / "in", 3)
    records = locate(str(tmp_path / "out/.gramgan-results"))
    key = leases.key_of(f"{photos[1].stem}_x4{photos[1].suffix}")
    for number in range(1, 4):
        (records / f"{leases.FOLDER}/{key}.{number}").write(json.dumps({"owner": "gone", "existed": False}).encode())
    work, rows = run(tmp_path / "in", tmp_path / "out")
    assert (work.counts.done, work.counts.failed) == (2, 1)
    assert "3 workers died while upscaling it" in next(row.error for row in rows if row.error)
    work, rows = run(tmp_path / "in", tmp_path / "out")  # its leases were released, so a new run tries again
    assert (work.counts.done, work.counts.failed) == (1, 0)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="processes are started by forking")
def test_photos_that_only_waited_are_not_blamed_for_deaths(tmp_path):
    """Runs that are killed again and again at their first photo; each photo is at work in one death alone."""
    make_archive(tmp_path / "in", 5)

    def work_until_killed():
        def killed_at_work(*_):
            os.kill(os.getpid(), signal.SIGKILL)

        session = open_session(batch_options(tmp_path / "in", tmp_path / "out").upscale)
        session.source.bands = killed_at_work
        Run(batch_options(tmp_path / "in", tmp_path / "out"), lambda _row: None, lambda _counts: None).go(
            local_engine(session)
        )

    for _ in range(6):
        process = multiprocessing.get_context("fork").Process(target=work_until_killed)
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    work, rows = run(tmp_path / "in", tmp_path / "out")
    assert (work.counts.done, work.counts.failed) == (5, 0), [row.error for row in rows]


def test_results_of_a_dead_worker_are_recorded_not_repeated(tmp_path):
    photos = make_archive(tmp_path / "in", 3)
    run(tmp_path / "in", tmp_path / "other")
    records = locate(str(tmp_path / "out/.gramgan-results"))
    finished = tmp_path / "out/photo0001_x4.jpg"
    finished.parent.mkdir()
    finished.write_bytes((tmp_path / "other/photo0001_x4.jpg").read_bytes())
    (records / f"{leases.FOLDER}/{leases.key_of(f'{photos[1].stem}_x4{photos[1].suffix}')}.1").write(
        b'{"owner": "gone", "existed": false}'
    )
    stamp = finished.stat().st_mtime_ns
    _, rows = run(tmp_path / "in", tmp_path / "out")
    row = next(row for row in rows if row.input == str(photos[1]))
    assert (row.error, row.seconds, row.model) == (None, None, "nearest")
    assert row.output_sha256 == hashlib.sha256(finished.read_bytes()).hexdigest()
    assert row.output_size == Image.open(finished).size
    assert finished.stat().st_mtime_ns == stamp


def test_an_unexpected_exception_fails_one_photo_only(tmp_path, monkeypatch):
    make_archive(tmp_path / "in", 6)
    import gramgan_cli.engines.upscale.opening as files

    sound = files.choose_format

    def faulty(photo, choice):
        if "photo0003" in photo.name:
            raise ZeroDivisionError("a fault")
        return sound(photo, choice)

    monkeypatch.setattr(files, "choose_format", faulty)
    work, rows = run(tmp_path / "in", tmp_path / "out")
    assert (work.counts.done, work.counts.failed) == (5, 1)
    bad = next(row for row in rows if row.error)
    assert "photo0003" in bad.error
    assert "a fault" in bad.error
    assert len(contents(tmp_path / "out")) == 5


def test_a_temporary_failure_is_retried(tmp_path, monkeypatch):
    make_archive(tmp_path / "in", 4)
    import gramgan_cli.engines.batch.worker as worker

    sound, failed = worker.LocalPath.read, []

    def flaky(self):
        if "photo0002" in self.text and not failed:
            failed.append(self.text)
            raise GramganError("The net is away.")
        return sound(self)

    monkeypatch.setattr(worker.LocalPath, "read", flaky)
    work, rows = run(tmp_path / "in", tmp_path / "out")
    assert work.counts.done == 4
    assert sorted(row.tries for row in rows) == [1, 1, 1, 2]


def test_an_interrupted_run_goes_on(tmp_path):
    make_archive(tmp_path / "in", 12)

    def stop_at(count):
        rows: list = []

        def on_row(row):
            rows.append(row)
            if len(rows) == count:
                raise KeyboardInterrupt

        work = Run(batch_options(tmp_path / "in", tmp_path / "out"), on_row, lambda _counts: None)
        with pytest.raises(KeyboardInterrupt):
            work.go(local_engine(open_session(work.options.upscale)))

    for count in (3, 2, 1):
        stop_at(count)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("photo*")}
    work, _ = run(tmp_path / "in", tmp_path / "out")
    assert (work.counts.before + work.counts.done, work.counts.failed) == (12, 0)
    assert len(contents(tmp_path / "out")) == 12
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


@pytest.mark.slow
def test_killed_and_started_again_every_result_is_there_once(tmp_path):
    make_archive(tmp_path / "in", 60, broken={11, 40}, side=64)
    call = command("upscale", tmp_path / "in", "-o", tmp_path / "out", "--engine", "local", "--model", "lanczos")
    for done in (8, 25):
        process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list((tmp_path / "out").glob("photo*"))) < done:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
        process.wait()
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("photo*")}
    last = subprocess.run(call, capture_output=True, text=True, check=False)
    assert last.returncode == 1
    assert "2 failed" in last.stderr
    for path, stamp in stamps.items():
        assert path.stat().st_mtime_ns == stamp, f"{path} was written again"
    found = make_report([str(tmp_path / "out")])
    assert (found.done, len(found.failures), found.left) == (58, 2, 0)
    assert len(contents(tmp_path / "out")) == 58
    inputs = [row["input"] for row in table(tmp_path / "out") if row["error"] is None]
    assert len(inputs) == len(set(inputs))


def test_two_runs_at_once_write_nothing_twice(tmp_path):
    make_archive(tmp_path / "in", 60, broken={5}, side=48)
    call = command("upscale", tmp_path / "in", "-o", tmp_path / "out", "--engine", "local", "--model", "lanczos")
    both = [subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=300)[1] for process in both]
    assert [process.returncode for process in both] == [1, 1], errors
    done = [row["output"] for row in table(tmp_path / "out") if row["error"] is None]
    assert len(done) == len(set(done)) == 59
    assert report(tmp_path / "out")["done"] == 59


def test_runs_over_different_inputs_add_up_and_a_wider_one_covers_those_before(tmp_path):
    for folder, count in (("a", 3), ("b", 2)):
        make_archive(tmp_path / folder, count, side=20 + count)
        run(tmp_path / folder, tmp_path / "out")
        assert make_report([str(tmp_path / "out")]).left == 0
    note = {"run": "r", "photos": 9, "shard": "1/1", "inputs": [str(tmp_path / "a")], "output": ""}
    folder = locate(str(tmp_path / "out/.gramgan-results"))
    note_run(folder, "zz-later", note)  # counted later: folder a has nine photos now
    assert make_report([str(tmp_path / "out")]).left == 9 + 2 - 5
    note_run(folder, "zzz-wider", {**note, "photos": 11, "inputs": [str(tmp_path / "a"), str(tmp_path / "b")]})
    assert make_report([str(tmp_path / "out")]).left == 11 - 5


def test_files_that_others_are_writing_do_not_end_a_run(tmp_path, monkeypatch):
    make_archive(tmp_path / "in", 2)
    run(tmp_path / "in", tmp_path / "out")
    records = tmp_path / "out/.gramgan-results"
    (next(records.glob("_runs/*.json")).parent / ".half.json.x.part").write_text("")
    records.joinpath("_workers").mkdir(exist_ok=True)
    records.joinpath("_workers", "ended").write_text('{"time": 0}')
    original = leases.content_of

    def gone(file):
        raise Missing("it has just ended")

    monkeypatch.setattr(leases, "content_of", gone)
    leases.clear_old_heartbeats(locate(str(records)))
    monkeypatch.setattr(leases, "content_of", original)
    work, _ = run(tmp_path / "in", tmp_path / "out")
    assert work.counts.failed == 0
