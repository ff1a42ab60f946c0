"""GAN training: the step against a plain one, its passes, two processes against one, exact resume."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from gan_reference import plain_gram, plain_step
from safetensors.torch import load_file
from torch.distributed.elastic.multiprocessing.api import SignalException
from train_photos import blurred_noise

from gramgan_cli.core import archs
from gramgan_cli.core.archs.discriminators import build_discriminator
from gramgan_cli.core.archs.discriminators.gramgan import DiscriminatorVGGStyle
from gramgan_cli.core.data.crops import Batch
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.weights import store
from gramgan_cli.engines.data.bank import build_bank
from gramgan_cli.engines.train.check_recipe import check_recipe
from gramgan_cli.engines.train.options import TrainResult
from gramgan_cli.engines.train.parallel.group import Group, TorchGroup
from gramgan_cli.engines.train.parallel.processes import parse_gpus, start
from gramgan_cli.engines.train.steps.content import ContentTraining
from gramgan_cli.engines.train.steps.gan import GanTraining, recipe_mask
from gramgan_cli.engines.train.steps.jitter import jitter_corner, jittered
from gramgan_cli.engines.train.steps.step_seed import step_seed
from gramgan_cli.engines.train.steps.texture_term import TextureTerm
from gramgan_cli.engines.train.warm_start import find_content_weights
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe
from gramgan_cli.recipes.schema import Recipe

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blurred_noise(tmp_path_factory.mktemp("photos"), 5, (100, 80), by=2)


@pytest.fixture(scope="module")
def bank(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small texture bank of these photos."""
    path = tmp_path_factory.mktemp("bank") / "bank.safetensors"
    build_bank(photos, path, max_patches=300)
    return path


def full_grams(bank: Path, centered: bool) -> torch.Tensor:
    """All entries' Gram matrices, (N, 3, 3), from the patches in the file, entry by entry."""
    return torch.stack(
        [plain_gram(patch.float() / 255, centered) for patch in load_file(bank)["patches"].flatten(0, 1)]
    )


def tiny(bank: Path, **changes: Any) -> Recipe:
    """The gramgan recipe, whole but for VGG, on a tiny network."""
    recipe = merge(
        load_recipe("gramgan"),
        {
            "network": {"arch": "rrdbnet", "nf": 8, "nb": 1, "gc": 4},
            "discriminator": {"nf": 4},
            "loss": {"perceptual": 0.0},
            "texture": {"db": str(bank), "patches": "dense"},
            "data": {"hr_crop": 32},
            "batch_size": 4,
        },
    )
    return merge(recipe, changes)


def make_batch(seed: int, count: int = 4) -> Batch:
    """Random crops, half of each HR flat, so that masks matter."""
    generator = torch.Generator().manual_seed(seed)
    hr = torch.rand(count, 3, 32, 32, generator=generator)
    hr[:, :, :, 22:] = 0.5
    return Batch(torch.rand(count, 3, 8, 8, generator=generator), hr, ("a.png",) * count)


def make_training(recipe: Recipe, group: Group | None = None) -> GanTraining:
    torch.manual_seed(1)
    generator = archs.build("rrdbnet", {k: v for k, v in recipe.network.items() if k != "arch"})
    return GanTraining(generator.train(), recipe, CPU, group or Group())


def seen_from_a_corner(image: torch.Tensor, jitter: int, step: int) -> torch.Tensor:
    """What the discriminator of a recipe with seed 0 gets to see."""
    if jitter == 0:
        return image
    top, left = torch.randint(0, jitter, (2,), generator=torch.Generator().manual_seed(step))
    return image[:, :, top:, left:][:, :, : image.shape[2] - jitter, : image.shape[3] - jitter]


@pytest.mark.parametrize(("centered", "jitter"), [(False, 0), (True, 0), (True, 4)])
def test_the_step_equals_a_plain_implementation(bank: Path, centered: bool, jitter: int) -> None:
    recipe = tiny(bank, texture={"centered": centered}, discriminator={"jitter": jitter})
    ours, theirs = make_training(recipe), make_training(recipe)
    g_adam = torch.optim.Adam(theirs.networks["generator"].parameters(), lr=1e-4)
    d_adam = torch.optim.Adam(theirs.networks["discriminator"].parameters(), lr=1e-4)
    grams = full_grams(bank, centered)
    for step in range(3):
        batch = make_batch(step)
        for name, network in theirs.networks.items():  # Adam magnifies rounding where a gradient is near zero
            network.load_state_dict(ours.networks[name].state_dict())
        terms = ours.step(batch, step)
        top, left = (torch.rand(2, generator=torch.Generator().manual_seed(step)) * 4).long().tolist()  # seed 0
        plain, *expected = plain_step(
            *theirs.networks.values(),
            g_adam,
            d_adam,
            batch.lr,
            batch.hr,
            grams,
            4,
            (top, left),
            centered,
            cell=11,
            delta=0.005,
            view=partial(seen_from_a_corner, jitter=jitter, step=step),
        )
        for name, value in plain.items():
            assert float(terms[name]) == pytest.approx(value, rel=1e-4, abs=1e-6), (step, name)
        for ours_now, theirs_now in zip(gradients(ours), expected, strict=True):
            difference = torch.linalg.vector_norm(ours_now - theirs_now)
            assert difference <= 1e-4 * torch.linalg.vector_norm(theirs_now), step


def test_a_sliding_mask_has_its_own_threshold(bank: Path) -> None:
    """Luminance that deviates by 0.012, above the grid's threshold and below Beby-GAN's (docs/gramgan.md)."""
    stripes = 0.5 + 0.012 * torch.tensor([1.0, -1.0]).repeat(16).expand(1, 3, 32, 32)
    assert recipe_mask(tiny(bank, mask={"mode": "grid"}), stripes).min() == 1
    assert recipe_mask(tiny(bank, mask={"mode": "sliding"}), stripes).max() == 0
    assert recipe_mask(tiny(bank, mask={"mode": "sliding", "delta": 0.01}), stripes).min() == 1


def test_one_pass_of_d_equals_two() -> None:
    torch.manual_seed(0)
    discriminator = DiscriminatorVGGStyle(nf=8).double()
    real, fake = torch.rand(2, 3, 3, 40, 40, dtype=torch.float64)
    both = discriminator(torch.cat((real, fake)))
    for whole, parts in zip(both, zip(discriminator(real), discriminator(fake), strict=True), strict=True):
        assert torch.allclose(whole, torch.cat(parts), atol=1e-12)


def test_accumulation_changes_nothing_but_the_batch_means(bank: Path) -> None:
    """Without the relativistic means, a batch in parts gives the gradient of the batch in one."""
    recipe = tiny(bank, loss={"adversarial": 0.01, "adversarial_form": "gan"})
    whole, parts = make_training(recipe), make_training(merge(recipe, {"optimizer": {"accumulate": 2}}))
    batch = make_batch(3)
    for training in (whole, parts):
        training.step(batch, 0)
    for name in ("generator", "discriminator"):
        for a, b in zip(whole.networks[name].parameters(), parts.networks[name].parameters(), strict=True):
            assert a.grad is not None
            assert b.grad is not None
            assert torch.allclose(a.grad, b.grad, rtol=1e-4, atol=1e-7 + 1e-4 * float(a.grad.abs().max()))


def test_only_the_generator_learns_in_its_turn(bank: Path) -> None:
    """The discriminator's gradients after a step are those of its own loss: the generator's terms left none."""
    recipe = tiny(bank)
    training = make_training(recipe)
    batch = make_batch(5)
    before = [p.clone() for p in training.networks["discriminator"].parameters()]
    sr = training.networks["generator"](batch.lr).detach()
    mask = recipe_mask(recipe, batch.hr)
    training.step(batch, 0)
    torch.manual_seed(1)
    twin = build_discriminator("gramgan", 32, 4)
    for own, value in zip(twin.parameters(), before, strict=True):
        own.data.copy_(value)
    real, fake = twin(batch.hr * mask).logit, twin(sr * mask).logit
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    (bce(real - fake.mean(), torch.ones_like(real)) + bce(fake - real.mean(), torch.zeros_like(fake))).backward()
    for a, b in zip(training.networks["discriminator"].parameters(), twin.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("patches", ["center", "random:5", "dense"])
@pytest.mark.parametrize("candidates", ["database", "image", "both"])
def test_texture_alone_moves_every_layer(bank: Path, patches: str, candidates: str) -> None:
    only = {"content": 0.0, "discriminator": 0.0, "adversarial": 0.0, "texture": 1.0}
    recipe = tiny(bank, loss=only, discriminator={"arch": "none"})
    recipe = merge(recipe, {"texture": {"patches": patches, "candidates": candidates}})
    torch.manual_seed(0)
    generator = archs.build("rrdbnet", {"nf": 8, "nb": 1, "gc": 4})
    before = {name: p.detach().clone() for name, p in generator.named_parameters()}
    ContentTraining(generator, recipe, CPU, Group()).step(make_batch(0), 0)
    for name, parameter in generator.named_parameters():
        assert not torch.equal(parameter, before[name]), name


@pytest.mark.parametrize("discriminator", ["srgan", "ttsr"])
def test_other_discriminators_and_forms_step(bank: Path, discriminator: str) -> None:
    form = {"srgan": "gan", "ttsr": "wgan-gp"}[discriminator]
    loss = {"discriminator": 0.0, "texture": 0.0, "adversarial": 1.0, "adversarial_form": form}
    training = make_training(tiny(bank, loss=loss, discriminator={"arch": discriminator}))
    before = [p.clone() for p in training.networks["generator"].parameters()]
    terms = training.step(make_batch(0), 0)
    assert all(torch.isfinite(term) for term in terms.values())
    assert any(not torch.equal(a, b) for a, b in zip(before, training.networks["generator"].parameters(), strict=True))


# Two processes against one


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def share_of(batch: Batch, rank: int) -> Batch:
    return Batch(batch.lr[rank::2].contiguous(), batch.hr[rank::2].contiguous(), batch.names[rank::2])


def gradients(training: GanTraining) -> list[torch.Tensor]:
    """Of G and of D, each laid end to end. (D's last bias alone has none: the relativistic loss cancels it.)"""
    return [torch.cat([p.grad.flatten() for p in network.parameters()]) for network in training.networks.values()]


def one_of_two(rank: int, port: int, folder: Path, recipe: Recipe, steps: int) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    training = make_training(recipe, TorchGroup())
    collected = []
    for step in range(steps):
        for name in ("generator", "discriminator"):  # start each step from the single process's networks
            training.networks[name].load_state_dict(torch.load(folder / f"{name}{step}.pt"))
        training.step(share_of(make_batch(step), rank), step)
        collected.append(gradients(training))
    torch.save(collected, folder / f"rank{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("patches", ["dense", "random:6"])
def test_two_processes_make_the_gradients_of_one(bank: Path, tmp_path: Path, patches: str) -> None:
    recipe = tiny(bank, texture={"patches": patches}, loss={"perceptual": 1.0}, features={"weights": "random"})
    recipe = merge(recipe, {"features": {"taps": {"conv1_2": 0.5, "conv2_2": 0.5}}})
    steps = 3
    single = make_training(recipe)
    expected = []
    for step in range(steps):
        for name in ("generator", "discriminator"):
            torch.save(single.networks[name].state_dict(), tmp_path / f"{name}{step}.pt")
        single.step(make_batch(step), step)
        expected.append(gradients(single))
    mp.spawn(one_of_two, (free_port(), tmp_path, recipe, steps), nprocs=2)
    for rank in range(2):
        for step, (ours, theirs) in enumerate(zip(torch.load(tmp_path / f"rank{rank}.pt"), expected, strict=True)):
            for a, b in zip(ours, theirs, strict=True):
                assert torch.linalg.vector_norm(a - b) <= 1e-5 * torch.linalg.vector_norm(b), (rank, step)


# Whole runs


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
    # The same again, with content-trained weights of this network in the store: no first stage.
    listing = [sys.executable, "-m", "gramgan_cli", "models", "import", str(tmp_path / "one/content/last.safetensors")]
    subprocess.run([*listing, "--name", "start"], check=True, capture_output=True)
    second = subprocess.run(command(*common, "--out", tmp_path / "two"), capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert not (tmp_path / "two" / "content").exists()
    assert 'init = "start"' in (tmp_path / "two" / "recipe.toml").read_text()


def test_the_compact_recipe_starts_from_the_embedded_default() -> None:
    """Which was trained with the loss between spectra too; clean-gan and photo have the same network."""
    assert find_content_weights(load_recipe("gramgan-compact").network) == "clean"


def test_the_recipe_for_damaged_photos_starts_from_the_embedded_photo() -> None:
    assert find_content_weights(load_recipe("photo-gan").network, damaged=True) == "photo"


def test_weights_for_degraded_photos_are_no_first_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``clean`` there is none to start from: photo learnt pixels, but of LR that isn't sharp."""
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
    """Torch's elastic launcher, ended by Ctrl-C after its processes have (or have not) left word."""

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


def test_gpus_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Card {index}")
    assert parse_gpus("0") == (0,)
    with pytest.raises(UsageError, match=r"no GPU 1, 7 here.*0 \(Card 0\)"):
        parse_gpus("0,1,7")
    for wrong in ("a", "0,0", ""):
        with pytest.raises(UsageError):
            parse_gpus(wrong)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"discriminator": {"arch": "none"}}, "discriminator.arch"),
        ({"discriminator": {"arch": "srgan"}}, "feature maps"),
        ({"loss": {"adversarial": 0.0, "discriminator": 0.0}}, "trains nothing"),
    ],
)
def test_terms_that_nothing_feeds_are_refused(bank: Path, changes: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        check_recipe(tiny(bank, **changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"discriminator": {"arch": "esrgan"}, "loss": {"discriminator": 0.0}, "data": {"hr_crop": 96}}, "128 x 128"),
        ({"discriminator": {"arch": "ttsr"}, "loss": {"discriminator": 0.0}, "data": {"hr_crop": 48}}, "divides by 32"),
        ({"discriminator": {"jitter": 32}}, "leaves nothing of crops of 32"),
        ({"texture": {"patches": "random"}}, "random:K"),
        ({"texture": {"patch_size": 33}}, "33 px does not fit"),
        ({"texture": {"alpha": 0.0, "beta": 0.0}}, "compare nothing"),
        ({"mask": {"mode": "sliding", "cell": 10}}, "odd side, not 10"),
        ({"mask": {"mode": "sliding", "cell": 65}}, "more than 32 px"),
        ({"network": {"in_nc": 1}}, "3 channels"),
    ],
)
def test_what_only_the_gan_stage_would_meet_is_refused_before_the_first_stage(
    bank: Path, changes: dict[str, Any], words: str
) -> None:
    recipe = tiny(bank, **changes)
    with pytest.raises(GramganError, match=words):
        check_recipe(recipe)


def test_ttsr_s_discriminator_is_as_large_as_what_it_sees(bank: Path) -> None:
    """Crops of 40 px, seen from a corner that jitters by 8: 32 x 32, which its linear layer must take."""
    recipe = tiny(bank, discriminator={"arch": "ttsr", "jitter": 8}, loss={"discriminator": 0.0}, data={"hr_crop": 40})
    check_recipe(recipe)
    hr = torch.rand(2, 3, 40, 40)
    make_training(recipe).step(Batch(torch.rand(2, 3, 10, 10), hr, ("a.png",) * 2), 0)


def test_runs_of_other_seeds_draw_other_numbers(bank: Path) -> None:
    """torch's CPU generator keeps 32 bits of a seed, which must hold the run's as well as the step's."""
    corners = {seed: [jitter_corner(16, seed, step) for step in range(8)] for seed in (0, 1, 2, 2**32 - 1)}
    assert len({tuple(drawn) for drawn in corners.values()}) == 4
    hr = torch.rand(2, 3, 32, 32)
    places = [
        TextureTerm(tiny(bank, seed=seed, texture={"patches": "random:4"}), CPU, Group())._places(hr, 3)
        for seed in (0, 1)
    ]
    assert not torch.equal(*places)
    mixes = [make_training(tiny(bank, seed=seed))._draw(3, 4) for seed in (0, 1)]
    assert not torch.equal(*mixes)
    drawn = {step_seed(seed, step, rank, 2) for seed in range(3) for step in range(500) for rank in range(2)}
    assert len(drawn) == 3000


def test_without_a_bank_the_error_names_the_command(photos: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        command("--hr-dir", photos, "--out", tmp_path / "r", *TINY), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "gramgan build-db" in done.stderr
    assert not (tmp_path / "r").exists()


def test_features_that_are_not_there_are_missed_before_anything_is_written(
    photos: Path, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAMGAN_OFFLINE", "1")
    words = ["--hr-dir", photos, "--db", bank, "--out", tmp_path / "r", *TINY, "--set", "loss.perceptual=1"]
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "vgg19-dcbb9e9d.pth" in done.stderr
    assert "loss.perceptual=0" in done.stderr
    assert not (tmp_path / "r").exists()


def test_the_features_see_each_step_from_its_own_corner() -> None:
    image = torch.arange(2 * 3 * 12 * 12, dtype=torch.float32).view(2, 3, 12, 12)
    assert jittered(image, 0, 1, 5) is image
    for step in range(4):
        top, left = jitter_corner(4, 1, step)
        assert torch.equal(jittered(image, 4, 1, step), image[:, :, top : top + 8, left : left + 8])
