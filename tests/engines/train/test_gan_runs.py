"""Complete GAN training runs: exact resume, first stage, processes, errors before a run."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_gan import free_port, make_training, tiny
from torch.distributed.elastic.multiprocessing.api import SignalException

from gramgan_cli.core.data.crops import Batch
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.weights import store
from gramgan_cli.engines.train.check_recipe import check_recipe
from gramgan_cli.engines.train.options import TrainResult
from gramgan_cli.engines.train.parallel.processes import parse_gpus, start
from gramgan_cli.engines.train.warm_start import find_content_weights
from gramgan_cli.recipes.load import load_recipe


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "gramgan_cli", "train", *map(str, words)]


TINY = [
    *("--arch", "compact", "--set", "network.nf=8", "--set", "network.nc=2", "--set", "loss.perceptual=0"),
    *("--set", "discriminator.nf=4", "--set", "schedule.warmup=4", "--batch-size", "4", "--hr-crop", "32"),
    *("--threads", "1", "--device", "cpu"),
]


def test_killed_gan_run_resumes_to_the_same_bits(photos: Path, bank: Path, tmp_path: Path) -> None:
    common = ["--hr-dir", photos, "--db", bank, "--init", "none", "--steps", 40, "--save-every", 4, *TINY]
    whole = subprocess.run(command(*common, "--out", tmp_path / "whole"), capture_output=True, text=True, check=False)
    assert whole.returncode == 0, whole.stderr
    killed = tmp_path / "killed"
    process = subprocess.Popen(command(*common, "--out", killed), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (killed / "state").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    process.kill()
    process.wait()
    assert '"step": 40' not in (killed / "metrics.jsonl").read_text(), "the run was over before it could be killed"
    resumed = subprocess.run(command("--out", killed, "--resume"), capture_output=True, text=True, check=False)
    assert resumed.returncode == 0, resumed.stderr
    for name in ("last.safetensors", "state/state.safetensors"):
        ours, theirs = load_file(killed / name), load_file(tmp_path / "whole" / name)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name


def test_the_first_stage_trains_what_the_store_lacks(photos: Path, bank: Path, tmp_path: Path) -> None:
    common = ["--hr-dir", photos, "--db", bank, "--steps", 2, "--set", "stage_steps=3", *TINY]
    first = subprocess.run(command(*common, "--out", tmp_path / "one"), capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    assert (tmp_path / "one" / "content" / "last.safetensors").is_file()
    assert (tmp_path / "one" / "last.safetensors").is_file()
    # Again, with content-trained weights of this network in the store: no first stage is needed.
    listing = [sys.executable, "-m", "gramgan_cli", "models", "import", str(tmp_path / "one/content/last.safetensors")]
    subprocess.run([*listing, "--name", "start"], check=True, capture_output=True)
    second = subprocess.run(command(*common, "--out", tmp_path / "two"), capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert not (tmp_path / "two" / "content").exists()
    assert 'init = "start"' in (tmp_path / "two" / "recipe.toml").read_text()


def test_the_compact_recipe_starts_from_the_embedded_model() -> None:
    """The embedded model also had the spectral loss; clean-gan and photo have the same network."""
    assert find_content_weights(load_recipe("gramgan-compact").network) == "clean"


def test_the_recipe_for_damaged_photos_starts_from_the_embedded_photo() -> None:
    assert find_content_weights(load_recipe("photo-gan").network, damaged=True) == "photo"


def test_weights_for_degraded_photos_are_no_first_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``clean`` there are no initial weights: photo had only pixel losses, but degraded LR."""
    others = [model for model in store.stored_models() if model.name != "clean"]
    assert "photo" in {model.name for model in others}
    monkeypatch.setattr(store, "stored_models", lambda: others)
    assert find_content_weights(load_recipe("gramgan-compact").network) is None


def test_two_processes_by_torchrun(photos: Path, bank: Path, tmp_path: Path) -> None:
    """The launch line of docs/training.md, with two processes on the CPU."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port"]
    words = ["-m", "gramgan_cli", "train", "--hr-dir", photos, "--db", bank, "--init", "none", "--steps", 2, *TINY]
    out = tmp_path / "run"
    done = subprocess.run(
        [*launcher, str(free_port()), *map(str, words), "--out", str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (out / "last.safetensors").is_file()


# Errors


class FakeLauncher:
    """Torch's elastic launcher, ended by Ctrl-C after its processes wrote (or did not write) their result."""

    word: str | None = None

    def __init__(self, config: object, work: object) -> None: ...

    def __call__(self, _: object, messages: Path) -> None:
        if self.word is not None:
            (messages / "stopped").write_text(self.word)
        raise SignalException("Process 1 got signal: 2", signal.SIGINT)


def no_work() -> TrainResult:
    raise AssertionError("the launcher is a fake one")


def test_ctrl_c_under_gpus_is_a_stopped_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.distributed.launcher.api.elastic_launch", FakeLauncher)
    with pytest.raises(KeyboardInterrupt):
        start(2, no_work)
    monkeypatch.setattr(FakeLauncher, "word", '[12, "runs/x/last.safetensors"]')
    assert start(2, no_work) == TrainResult(12, False, Path("runs/x/last.safetensors"))


def test_missing_gpus_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Card {index}")
    assert parse_gpus("0") == (0,)
    with pytest.raises(UsageError, match=r"no GPU 1, 7 on this computer.*0 \(Card 0\)"):
        parse_gpus("0,1,7")
    for wrong in ("a", "0,0", ""):
        with pytest.raises(UsageError):
            parse_gpus(wrong)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"discriminator": {"arch": "none"}}, "discriminator.arch"),
        ({"discriminator": {"arch": "srgan"}}, "feature maps"),
        ({"loss": {"adversarial": 0.0, "discriminator": 0.0}}, "has no effect"),
        (
            {"loss": {"adversarial_form": "wgan-gp"}, "discriminator": {"penalty": 0.1}},
            "wgan-gp has a gradient penalty of its own",
        ),
    ],
)
def test_loss_terms_without_inputs_are_refused(bank: Path, changes: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        check_recipe(tiny(bank, **changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"discriminator": {"arch": "esrgan"}, "loss": {"discriminator": 0.0}, "data": {"hr_crop": 96}}, "128 x 128"),
        (
            {"discriminator": {"arch": "ttsr"}, "loss": {"discriminator": 0.0}, "data": {"hr_crop": 48}},
            "multiple of 32",
        ),
        ({"discriminator": {"jitter": 32}}, "leaves nothing of crops of 32"),
        ({"texture": {"patches": "random"}}, "random:K"),
        ({"texture": {"patch_size": 33}}, "33 px does not fit"),
        ({"texture": {"alpha": 0.0, "beta": 0.0}}, "compare nothing"),
        ({"mask": {"mode": "sliding", "cell": 10}}, "odd size, not 10"),
        ({"mask": {"mode": "sliding", "cell": 65}}, "more than 32 px"),
        ({"network": {"in_nc": 1}}, "3 input and output channels"),
    ],
)
def test_errors_of_the_gan_stage_are_found_before_the_first_stage(
    bank: Path, changes: dict[str, Any], words: str
) -> None:
    recipe = tiny(bank, **changes)
    with pytest.raises(GramganError, match=words):
        check_recipe(recipe)


def test_ttsr_s_discriminator_is_as_large_as_what_it_sees(bank: Path) -> None:
    """Crops of 40 px with a jitter of 8 give 32 x 32, which its linear layer must accept."""
    recipe = tiny(bank, discriminator={"arch": "ttsr", "jitter": 8}, loss={"discriminator": 0.0}, data={"hr_crop": 40})
    check_recipe(recipe)
    hr = torch.rand(2, 3, 40, 40)
    make_training(recipe).step(Batch(torch.rand(2, 3, 10, 10), hr, ("a.png",) * 2), 0)


def test_without_a_bank_the_error_names_the_command(photos: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        command("--hr-dir", photos, "--out", tmp_path / "r", *TINY), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "gramgan build-db" in done.stderr
    assert not (tmp_path / "r").exists()


def test_missing_features_are_an_error_before_anything_is_written(
    photos: Path, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAMGAN_OFFLINE", "1")
    words = ["--hr-dir", photos, "--db", bank, "--out", tmp_path / "r", *TINY, "--set", "loss.perceptual=1"]
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "vgg19-dcbb9e9d.pth" in done.stderr
    assert "loss.perceptual=0" in done.stderr
    assert not (tmp_path / "r").exists()
