"""Content training: the step against a plain loop, exact resume, run folder, errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode
from train_photos import blurred_noise
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.cli.errors import explain
from gramgan_cli.core import archs
from gramgan_cli.core.data.crops import CropSampler
from gramgan_cli.core.data.prepared import prepare_photos
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.optim.schedules import warmup_cosine
from gramgan_cli.core.weights.header import WeightsHeader, read_header, save_weights
from gramgan_cli.engines.train import interrupt
from gramgan_cli.engines.train.interrupt import stop_on_interrupt
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.run.loss_log import LossLog

TINY = ["--arch", "compact", "--set", "network.nf=8", "--set", "network.nc=2", "--batch-size", "4", "--hr-crop", "32"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return blurred_noise(tmp_path / "photos", 5, (90, 72), by=3)


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "gramgan_cli", "train", "--recipe", "psnr", "--device", "cpu", *map(str, words)]


def run(*words: object) -> None:
    """Run ``gramgan train`` in this process, since importing torch for each run would take longer than the run."""
    result = CliRunner().invoke(app, command(*words)[3:], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_a_run_equals_a_plain_loop(photos: Path, tmp_path: Path) -> None:
    """Adam, warm-up, cosine, clipping and averaging, reimplemented by hand."""
    out = tmp_path / "run"
    runner = CliRunner()
    words = ["--hr-dir", photos, "--valid-dir", photos, "--out", out, "--steps", 6, "--threads", 1]
    arguments = ["train", "--recipe", "psnr", "--device", "cpu", *map(str, words), *TINY, "--set", "schedule.warmup=2"]
    result = runner.invoke(app, [*arguments, "--set", "optimizer.rate=0.01", "--set", "optimizer.clip=0.1"])
    assert result.exit_code == 0, result.output

    torch.manual_seed(0)
    network = archs.build("compact", {"nf": 8, "nc": 2}).to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01, foreach=False)
    sampler = CropSampler(prepare_photos(sorted(photos.iterdir()), 4, tmp_path / "own"), 4, 32, 4, seed=0)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    for step in range(6):
        batch = sampler.batch(step)
        optimiser.param_groups[0]["lr"] = 0.01 * warmup_cosine(step, 2, 6)
        optimiser.zero_grad()
        (network(batch.lr) - batch.hr).abs().mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.1)
        optimiser.step()
        decay = min(0.999, (step + 1) / (step + 10))
        for name, value in network.state_dict().items():
            average[name] = decay * average[name] + (1 - decay) * value
    weights = load_file(out / "last.safetensors")
    for name, value in average.items():
        assert torch.allclose(weights[name], value, atol=1e-6), name


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_killed_and_resumed_ends_in_the_same_bits(photos: Path, tmp_path: Path, optimiser: str) -> None:
    common = ["--hr-dir", photos, "--threads", 1, "--steps", 60, "--save-every", 4, "--valid-every", 20, *TINY]
    common += ["--set", f"optimizer.name={optimiser}"]
    run(*common, "--out", tmp_path / "whole")
    killed = tmp_path / "killed"
    process = subprocess.Popen(command(*common, "--out", killed), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (killed / "state").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.03)
    process.kill()
    process.wait()
    rows = (killed / "metrics.jsonl").read_text() if (killed / "metrics.jsonl").exists() else ""
    assert '"step": 60' not in rows, "the run was over before it could be killed"
    run("--out", killed, "--resume")
    for name in ("last", "best_psnr", "best_ssim"):
        ours, theirs = (load_file(tmp_path / which / f"{name}.safetensors") for which in ("killed", "whole"))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name
    metrics = [json.loads(line) for line in (killed / "metrics.jsonl").read_text().splitlines()]
    assert sum("resumed_from" in row for row in metrics) == 1
    plain = [row for row in metrics if "resumed_from" not in row]
    whole = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    validations = [row for row in plain if "psnr_y" in row]
    assert validations == [row for row in whole if "psnr_y" in row]


def test_the_run_folder_and_the_store(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "My Run"
    run("--hr-dir", photos, "--out", out, "--steps", 3, "--valid-every", 2, "--set", "log_every=1", *TINY)
    for name in ("recipe.toml", "metrics.jsonl", "last.safetensors", "best_psnr.safetensors", "best_ssim.safetensors"):
        assert (out / name).is_file()
    assert any((out / "state").iterdir())
    assert Image.open(out / "samples" / "step_0000002.png").size == (4 * 192, 192)
    recipe = tomllib.loads((out / "recipe.toml").read_text(encoding="utf-8"))
    assert recipe["network"] == {"arch": "compact", "nf": 8, "nc": 2}
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss.content" in row] == [1, 2, 3]
    assert all({"lr", "loss.content", "steps_per_second"} <= row.keys() for row in rows if "psnr_y" not in row)
    listed = subprocess.run(
        [sys.executable, "-m", "gramgan_cli", "models", "list", "--json"], capture_output=True, text=True, check=True
    )
    assert "my-run" in [model["name"] for model in json.loads(listed.stdout)["models"]]


def test_starting_from_weights_brings_their_network(photos: Path, tmp_path: Path) -> None:
    run("--hr-dir", photos, "--out", tmp_path / "first", "--steps", 2, *TINY)
    weights = tmp_path / "first" / "last.safetensors"
    small = ["--batch-size", 2, "--hr-crop", 32, "--steps", 1, "--set", "optimizer.rate=0.0"]
    run("--hr-dir", photos, "--out", tmp_path / "second", "--init", weights, *small)
    before, after = load_file(weights), load_file(tmp_path / "second" / "last.safetensors")
    assert all(torch.equal(before[key], after[key]) for key in before)
    first, second = (read_header(tmp_path / run / "last.safetensors").training for run in ("first", "second"))
    assert second["init"] == {"model": "last"} | {key: first[key] for key in first.keys() - {"photo_names"}}
    assert second["photo_names"] == first["photo_names"]  # listed once
    assert second["settings"] == first["settings"] | {"optimizer.rate": 0.0}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_interrupt_saves_at_a_step_and_says_how_to_go_on(photos: Path, tmp_path: Path) -> None:
    import signal

    out = tmp_path / "run"
    words = ["--hr-dir", photos, "--out", out, "--steps", 100_000, "--save-every", 5, "--threads", 1, *TINY]
    process = subprocess.Popen(command(*words), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while not (out / "state").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--hr-dir", "nowhere"], "nowhere"),
        ([], "--hr-dir"),
        (["--hr-dir", "{photos}", "--hr-crop", "30"], "multiple"),
        (["--hr-dir", "{photos}", "--hr-crop", "400"], "400"),
        (["--hr-dir", "{photos}", "--init", "nosuchmodel"], "nosuchmodel"),
        (["--hr-dir", "{photos}", "--set", "network.nff=3"], "nff"),
        (["--hr-dir", "{photos}", "--resume"], "no run"),
        (["--hr-dir", "{photos}", "--device", "cuda:99"], "cuda:99"),
    ],
)
def test_errors_are_one_message(words: list[str], expected: str, photos: Path, tmp_path: Path) -> None:
    arguments = [word.format(photos=photos) for word in words]
    runner = CliRunner()
    result = runner.invoke(
        app, ["train", "--recipe", "psnr", "--arch", "compact", "--out", str(tmp_path / "r"), *arguments]
    )
    assert isinstance(result.exception, GramganError)
    assert expected in explain(result.exception)
    assert not (tmp_path / "r").exists()


def test_a_second_run_does_not_overwrite_the_first(photos: Path, tmp_path: Path) -> None:
    words = ["--hr-dir", photos, "--out", tmp_path / "run", "--steps", 1, *TINY]
    run(*words)
    again = subprocess.run(command(*words), capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 1
    assert "--resume" in again.stderr


def test_resuming_refuses_to_become_another_run(photos: Path, tmp_path: Path) -> None:
    run("--hr-dir", photos, "--out", tmp_path / "run", "--steps", 1, *TINY)
    other = command("--out", tmp_path / "run", "--resume", "--set", "optimizer.rate=0.5")
    done = subprocess.run(other, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "optimizer.rate" in done.stderr


def test_the_loss_log_names_the_first_term_that_broke() -> None:
    losses = LossLog(torch.device("cpu"))
    losses.add({"content": torch.tensor(1.0), "texture": torch.tensor(2.0)}, 7)
    losses.add({"content": torch.tensor(3.0), "texture": torch.tensor(float("nan"))}, 8)
    losses.add({"content": torch.tensor(float("inf")), "texture": torch.tensor(1.0)}, 9)
    _, broken = losses.take(Group())
    assert broken == ("texture", 8)
    losses.add({"content": torch.tensor(1.0), "texture": torch.tensor(4.0)}, 10)
    losses.add({"content": torch.tensor(2.0), "texture": torch.tensor(5.0)}, 11)
    assert losses.take(Group()) == ({"content": 1.5, "texture": 4.5}, None)


def test_one_ctrl_c_may_come_twice_but_a_later_one_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    with stop_on_interrupt() as wanted:
        ctrl_c = signal.getsignal(signal.SIGINT)
        assert callable(ctrl_c)
        assert not wanted.is_set()
        monkeypatch.setattr(interrupt, "SAME_CTRL_C", 60.0)
        for _ in range(2):
            ctrl_c(signal.SIGINT, None)
            assert wanted.is_set()
        monkeypatch.setattr(interrupt, "SAME_CTRL_C", 0.0)
        with pytest.raises(KeyboardInterrupt):
            ctrl_c(signal.SIGINT, None)


class NoFloat64(TorchDispatchMode):
    """Apple's GPUs lack float64, so creating such a tensor is an error there."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        assert getattr(result, "dtype", None) is not torch.float64, f"{func} makes float64"
        return result


def test_the_loss_log_needs_no_float64() -> None:
    with NoFloat64():
        losses = LossLog(torch.device("cpu"))
        losses.add({"content": torch.tensor(float("nan"))}, 12)
        assert losses.take(Group())[1] == ("content", 12)


def test_weights_that_an_update_broke_are_not_saved(photos: Path, tmp_path: Path) -> None:
    """With a rate beyond float32, the first step's losses are finite, but not the weights after it."""
    words = ["--hr-dir", photos, "--out", tmp_path / "run", "--steps", 1, "--set", "optimizer.rate=1e39", *TINY]
    result = CliRunner().invoke(app, command(*words, "--set", "schedule.warmup=0")[3:])
    assert isinstance(result.exception, GramganError)
    assert "generator's weights are not finite after step 1" in result.exception.message
    assert "`settings` optimizer.clip=0.5" in (result.exception.hint or "")
    assert not list((tmp_path / "run").glob("*.safetensors"))
    assert not (tmp_path / "run" / "state").exists()


def test_photos_too_small_to_measure_are_left_out_of_validation(photos: Path, tmp_path: Path) -> None:
    """SSIM needs 11 px between borders of 4, so a held-out thumbnail of 18 px is not measured."""
    held_out = tmp_path / "held-out"
    held_out.mkdir()
    Image.new("RGB", (18, 60), "red").save(held_out / "thumbnail.png")
    words = ["--hr-dir", photos, "--valid-dir", held_out, "--steps", 1, *TINY]
    result = CliRunner().invoke(app, command(*words, "--out", tmp_path / "none")[3:])
    assert isinstance(result.exception, GramganError)
    assert "None of the 1 validation photos has 19 pixels" in result.exception.message
    for folder in (held_out, tmp_path / "large"):
        folder.mkdir(exist_ok=True)
        Image.open(photos / "0.png").save(folder / "large.png")
    result = CliRunner().invoke(app, command(*words, "--out", tmp_path / "one")[3:], catch_exceptions=False)
    assert result.exit_code == 0
    assert "because they are too small: 1 of 2" in result.output
    words = ["--hr-dir", photos, "--valid-dir", tmp_path / "large", "--out", tmp_path / "alone", "--steps", 1]
    run(*words, *TINY)
    last = [(tmp_path / out / "metrics.jsonl").read_text().splitlines()[-1] for out in ("one", "alone")]
    assert last[0] == last[1]


@pytest.mark.parametrize("sort", ["of another network", "that needs a reference"])
def test_weights_of_a_network_that_was_not_asked_for(sort: str, photos: Path, tmp_path: Path) -> None:
    """A named architecture must be that of the weights; hyperparameters of the weights are checked like set ones."""
    out = ["--hr-dir", photos, "--steps", 1, "--out", tmp_path / "second"]
    if sort == "of another network":
        run("--hr-dir", photos, "--out", tmp_path / "first", "--steps", 1, *TINY)
        words = ["--init", tmp_path / "first" / "last.safetensors", "--arch", "srresnet", "--hr-crop", 32, *out]
        expected = "are for compact, not srresnet"
    else:
        network = archs.build("ttsr", {"nf": 4, "blocks": [1, 1, 1, 1]})
        save_weights(
            tmp_path / "ttsr.safetensors",
            network.state_dict(),
            WeightsHeader("ttsr", {"nf": 4, "blocks": [1, 1, 1, 1]}, 4),
        )
        words = ["--init", tmp_path / "ttsr.safetensors", *out]
        expected = "The network ttsr needs references"
    result = CliRunner().invoke(app, command(*words)[3:])
    assert isinstance(result.exception, UsageError)
    assert expected in result.exception.message
    assert not (tmp_path / "second").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
@pytest.mark.parametrize("limit", [20_000, 200])
def test_a_disk_that_is_full_is_one_sentence(limit: int, photos: Path, tmp_path: Path) -> None:
    """With a limit on file sizes, the weights, or even the metrics, can't be written."""
    run("--hr-dir", photos, "--out", tmp_path / "first", "--steps", 1, *TINY)  # prepares the photos
    words = ["--hr-dir", str(photos), "--out", str(tmp_path / "run"), "--steps", "1", *TINY]
    cut = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2); "
    start = "from gramgan_cli.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", cut + start, str(limit), *command(*words)[3:]],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "Can't write" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_photos(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["--hr-dir", photos, "--out", out, "--steps", 50, "--set", "optimizer.rate=1e30", "--set", "log_every=5"]
    done = subprocess.run(
        command(*words, "--set", "schedule.warmup=0", "--set", "optimizer.clip=0", *TINY),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "'content' is not finite at step" in done.stderr
    assert ".png" in done.stderr
