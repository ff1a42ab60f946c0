"""The training loop: data, rate, step, average, and at their intervals metrics, validation and saved state."""

from __future__ import annotations

import copy
import hashlib
import math
import platform
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gramgan_cli.core import archs
from gramgan_cli.core.archs.ttsr import TTSR
from gramgan_cli.core.data.crops import Batch, CropSampler, degraded_photo, middle_crop
from gramgan_cli.core.data.listing import list_pictures
from gramgan_cli.core.data.prepared import PreparedPhoto, add_references, prepare_photos
from gramgan_cli.core.data.shards import find_shards
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.io.folders import cache_dir
from gramgan_cli.core.optim.ema import update_ema
from gramgan_cli.core.optim.schedules import stepped, warmup_cosine
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.train.callbacks import Reporter
from gramgan_cli.engines.train.checkpoint import Progress, load_state, save_state
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.run_folder import RunFolder
from gramgan_cli.engines.train.shard_photos import shard_photos, shard_sampler, validation_photos
from gramgan_cli.engines.train.steps.content import ContentTraining
from gramgan_cli.engines.train.steps.gan import GanTraining, recipe_mask
from gramgan_cli.engines.train.tensorboard import TensorBoard
from gramgan_cli.engines.train.validate import measurable, sample_grid, validate
from gramgan_cli.engines.train.warm_start import initial_weights
from gramgan_cli.recipes.convert import method
from gramgan_cli.recipes.schema import LOSS_TERMS, Recipe

MOST_NAMES = 1_000
"""Photos whose names a record lists; of larger sets it keeps the count and a hash of the names."""

SAME_CTRL_C = 1.0
"""Seconds."""


class Training(Protocol):
    """Networks, optimisers and the step of one kind of training."""

    networks: dict[str, nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]
    scaler: torch.amp.GradScaler

    def step(self, batch: Batch, step: int) -> Mapping[str, Tensor]:
        """One update; the loss terms, still on the device."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    steps: int
    """Steps done."""
    finished: bool
    """False: stopped at a step boundary, everything saved."""
    weights: Path
    """The averaged generator."""


def rate_share(recipe: Recipe, step: int) -> float:
    """Share of the base rates at ``step``."""
    schedule = recipe.schedule
    if schedule.shape == "steps":
        return stepped(step, schedule.warmup, schedule.milestones, schedule.factor)
    return warmup_cosine(step, schedule.warmup, schedule.period or recipe.steps)


def split_photos(recipe: Recipe) -> tuple[list[Path], list[Path], str]:
    """Training photos, validation photos, and a line that says which are which.

    Without a validation folder one photo in twenty is held out (one at least, eight at most), evenly spread.
    """
    photos = [path for folder in recipe.data.hr_dir for path in list_pictures(Path(folder))]
    if recipe.data.valid_dir:
        held_out = list_pictures(Path(recipe.data.valid_dir))
        return photos, held_out, f"{len(photos)} photos; validated on the {len(held_out)} of {recipe.data.valid_dir}."
    if len(photos) == 1:
        return photos, photos, "1 photo, which is also what the run is validated on: the numbers will flatter."
    count = min(8, max(1, len(photos) // 20))
    held_out = [photos[(2 * i + 1) * len(photos) // (2 * count)] for i in range(count)]
    rest = [path for path in photos if path not in held_out]
    return rest, held_out, f"{len(rest)} photos; {count} held out for validation (or name a folder by --valid-dir)."


class Ledger:
    """Sums of the loss terms, kept on the device; reading them is the only time the host waits for it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._names: tuple[str, ...] = ()
        self._reset()

    def _reset(self) -> None:
        self._sum = torch.zeros(len(self._names), device=self.device)
        self._bad = torch.full((len(self._names),), -1, device=self.device, dtype=torch.int64)
        self._count = 0

    def add(self, terms: Mapping[str, Tensor], step: int) -> None:
        """Add a step's terms; remember the first step at which each was not finite."""
        if not self._names:
            self._names = tuple(terms)
            self._reset()
        values = torch.stack([terms[name].float() for name in self._names])
        self._sum += values
        self._bad = torch.where((self._bad < 0) & ~torch.isfinite(values), step, self._bad)
        self._count += 1

    def take(self, group: Group) -> tuple[dict[str, float], tuple[str, int] | None]:
        """Mean of each term since the last taking, and (term, step) of the first that was not finite."""
        if not self._count:
            return {}, None
        means = (group.average(self._sum) / self._count).tolist()
        bad = self._bad.tolist()
        self._reset()
        broken = [(step, name) for name, step in zip(self._names, bad, strict=True) if step >= 0]
        first = min(broken, default=None)
        return dict(zip(self._names, means, strict=True)), (first[1], first[0]) if first else None


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """While inside, the first Ctrl-C or termination sets the event; another Ctrl-C interrupts at once.

    What comes within ``SAME_CTRL_C`` seconds is the same one: terminal and launcher both pass it to every process.
    """
    wanted = threading.Event()
    first = 0.0

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal first
        del frame
        if wanted.is_set() and number == signal.SIGINT and time.monotonic() - first > SAME_CTRL_C:
            raise KeyboardInterrupt
        first = first or time.monotonic()
        wanted.set()

    if threading.current_thread() is not threading.main_thread():
        yield wanted
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wanted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def training_record(recipe: Recipe, photos: Sequence[Path], progress: Progress, device: torch.device) -> dict[str, Any]:
    """What the weights' header says of how they came to be."""
    names = sorted(path.name for path in photos)
    listed = hashlib.sha256("\n".join(names).encode()).hexdigest()
    origin = dict(progress.origin)
    if origin.get("photo_list_sha256") == listed:
        origin.pop("photo_names", None)  # said once
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    record: dict[str, Any] = {
        "recipe": recipe.name,
        "losses": [name for name in LOSS_TERMS if getattr(recipe.loss, name)],
        "settings": method(recipe),
        "steps": progress.step,
        "batch_size": recipe.batch_size,
        "hr_crop": recipe.data.hr_crop,
        "seed": recipe.seed,
        "init": origin or "random",
        "hours": round(progress.seconds / 3600, 3),
        "machine": f"{where}, {torch.get_num_threads()} threads",
        "photos": len(names),
        "photo_list_sha256": listed,
    }
    if len(names) <= MOST_NAMES:
        record["photo_names"] = names
    if recipe.loss.perceptual or recipe.network["arch"] == "ttsr":
        record["features"] = f"{recipe.features.extractor} with {recipe.features.weights} weights"
    return record


class Run:
    """One stage of training in one folder."""

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        device: torch.device,
        reporter: Reporter,
        group: Group,
        resume: bool,
    ) -> None:
        self.recipe, self.folder, self.device, self.reporter, self.group = recipe, folder, device, reporter, group
        if recipe.compute.threads:
            torch.set_num_threads(recipe.compute.threads)
        torch.manual_seed(recipe.seed)
        arch = recipe.network["arch"]
        hyperparameters = archs.complete(arch, {key: value for key, value in recipe.network.items() if key != "arch"})
        self.descriptor = archs.describe(arch, hyperparameters)
        self.progress = Progress()
        self.header = WeightsHeader(arch, hyperparameters, self.descriptor.scale, licence="MIT")
        self._read_photos()
        generator = archs.build(arch, hyperparameters)
        resumed_state = resume and folder.state_file.is_file()
        brought = recipe.init not in ("", "none")
        if isinstance(generator, TTSR) and recipe.features.weights == "imagenet" and not (brought or resumed_state):
            from gramgan_cli.core.features import official_weights  # brings torchvision, which most runs don't need

            generator.extractor.load_vgg19(official_weights("vgg19"))
        if brought and not resumed_state:
            start = load_model(initial_weights(recipe, folder))
            generator.load_state_dict(start.network.state_dict())
            self.progress.origin = {"model": start.name, **start.header.training}
        generator = generator.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.training = self._training(generator)
        self.generator = generator
        self.average = copy.deepcopy(generator).eval() if recipe.optimizer.ema else generator
        self._paced = (0, 0.0)
        self.base_rates = {
            optimiser: [group["lr"] for group in optimiser.param_groups]
            for optimiser in self.training.optimisers.values()
        }
        if resume:
            self._resume()

    def _training(self, generator: nn.Module) -> Training:
        """The kind of training that the recipe asks for."""
        kind = ContentTraining if self.recipe.discriminator.arch == "none" else GanTraining
        return kind(generator, self.recipe, self.device, self.group)

    def _read_photos(self) -> None:
        """Prepare the photos; the main process first, so that the others find them prepared."""
        wanted = self.recipe.data
        prepared = cache_dir() / "prepared"
        scale = self.descriptor.scale
        if not self.group.is_main:
            self.group.barrier()
        show = self.reporter.preparing if self.group.is_main else None
        photos: list[PreparedPhoto] = []
        sharded = shard_photos(self.recipe, files, show) if (files := find_shards(wanted.hr_dir)) else None
        self.valid: list[PreparedPhoto]
        if sharded is not None:
            self.photos, line = sharded.names, sharded.line
            self.valid = validation_photos(sharded, scale, show)
        else:
            self.photos, held_out, line = split_photos(self.recipe)
            photos = prepare_photos(self.photos, scale, prepared, show)
            self.valid = prepare_photos(held_out, scale, prepared, show)
        if wanted.references == "folder":
            photos, self.valid = (add_references(some, Path(wanted.ref_dir), show) for some in (photos, self.valid))
        chosen = len(self.valid)
        self.valid = measurable(self.valid, scale, wanted.hr_crop if wanted.references != "none" else 0)
        if wanted.references != "none":
            self.valid = [middle_crop(photo, scale, wanted.hr_crop, self.recipe.seed) for photo in self.valid]
        degradation = self.recipe.degradation if self.recipe.degradation.share else None
        if degradation is not None:
            self.valid = [degraded_photo(photo, scale, degradation, self.recipe.seed) for photo in self.valid]
        if self.group.is_main:
            self.group.barrier()
            self.reporter.note(line)
            if len(self.valid) < chosen:
                self.reporter.note(f"Too small to validate on, left out: {chosen - len(self.valid)} of {chosen}.")
        share = (self.group.rank, self.group.processes)
        recipe = self.recipe

        def sampler(photos: list[PreparedPhoto]) -> CropSampler:
            return CropSampler(
                photos,
                scale,
                wanted.hr_crop,
                recipe.batch_size,
                recipe.seed,
                share,
                wanted.references != "none",
                degradation,
            )

        self.sampler = shard_sampler(recipe, sharded, scale, sampler) if sharded is not None else sampler(photos)

    def _saved_networks(self) -> dict[str, nn.Module]:
        """All networks whose tensors belong to the state."""
        extra = {"average": self.average} if self.average is not self.generator else {}
        return {**self.training.networks, **extra}

    def _resume(self) -> None:
        """Go back to the last saved state; a run that was killed before its first one starts again."""
        if self.folder.state_file.is_file():
            self.progress = load_state(self.folder.state_file, self._saved_networks(), self.training.optimisers)
            if self.training.scaler.is_enabled():
                self.training.scaler.load_state_dict(self.progress.scaler)
        if self.group.is_main:
            self.folder.rewind_metrics(self.progress.step)
        self.reporter.note(f"Resumed from step {self.progress.step}.")

    def loop(self) -> Outcome:
        """Train until the recipe's last step, or until somebody asks to stop."""
        recipe, progress, ledger = self.recipe, self.progress, Ledger(self.device)
        self.reporter.begin(progress.step, recipe.steps)
        began, seconds_before, stopped = time.monotonic(), progress.seconds, False
        self._paced = (progress.step, progress.seconds)
        self.board = TensorBoard(self.folder.path if self.group.is_main else None)
        with stop_on_interrupt() as stop_wanted:
            for batch in self.sampler.batches(progress.step, recipe.steps):
                share = rate_share(recipe, progress.step)
                self._set_rates(share)
                ledger.add(self.training.step(self._to_device(batch), progress.step), progress.step)
                if self.average is not self.generator:
                    update_ema(self.average, self.generator, recipe.optimizer.ema, progress.step)
                progress.step += 1
                progress.seconds = seconds_before + time.monotonic() - began
                self.reporter.step(progress.step)
                stopped = self._asked_to_stop(stop_wanted)
                last = stopped or progress.step == recipe.steps
                valid = progress.step % recipe.valid_every == 0 or progress.step == recipe.steps
                save = progress.step % recipe.save_every == 0 or last
                if last or valid or save or progress.step % recipe.log_every == 0:
                    self._log(ledger, share)
                if valid:
                    self._validate()
                if save:
                    self._save()
                if stopped:
                    break
        self.reporter.end()
        self.board.close()
        return Outcome(progress.step, not stopped, self.folder.weights("last"))

    def _to_device(self, batch: Batch) -> Batch:
        """The batch where the networks are; the copy overlaps the computing where memory can be pinned."""
        if self.device.type == "cpu":
            return batch

        def move(tensor: Tensor) -> Tensor:
            pinned = tensor.pin_memory() if self.device.type == "cuda" else tensor
            return pinned.to(self.device, non_blocking=True)

        return Batch(move(batch.lr), move(batch.hr), batch.names, None if batch.ref is None else move(batch.ref))

    def _set_rates(self, share: float) -> None:
        for optimiser, rates in self.base_rates.items():
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * share

    def _asked_to_stop(self, wanted: threading.Event) -> bool:
        """Whether to stop after this step. Several processes ask each other every tenth step only."""
        if self.group.processes > 1 and self.progress.step % 10:
            return False
        return self.group.any(wanted.is_set())

    def _log(self, ledger: Ledger, share: float) -> None:
        """Write the mean losses since the last row; stop at the first that is not finite."""
        means, broken = ledger.take(self.group)
        if self.group.any(broken is not None):
            term, step = broken or ("a loss of another process", self.progress.step)
            files = ", ".join(self.sampler.batch(step).names)
            raise GramganError(
                f"The loss term '{term}' is not finite at step {step} (photos: {files}).", self._way_on()
            )
        if means and self.group.is_main:
            losses = {f"loss.{name}": value for name, value in means.items()}
            rate = self.recipe.optimizer.rate * share
            self._write({"step": self.progress.step, "lr": rate, **losses, **self._pace()})

    def _check_weights(self) -> None:
        """Stop before weights that an update broke are saved over good ones."""
        for name, network in self.training.networks.items():
            if self.group.any(not all(bool(torch.isfinite(tensor).all()) for tensor in network.parameters())):
                raise GramganError(
                    f"The {name}'s weights are not finite after step {self.progress.step}.", self._way_on()
                )

    def _way_on(self) -> str:
        """What to do about values that are not finite: a resumed run keeps its recipe, so it takes another run."""
        last = self.folder.weights("last")
        start = f" from the last good weights (--init {last})" if last.is_file() else ""
        rate = self.recipe.optimizer.rate
        return (
            f"Start another run{start}, with another --out and a lower rate (--set optimizer.rate={rate / 4:g}) or "
            "gradients held down (--set optimizer.clip=0.5)."
        )

    def _pace(self) -> dict[str, float]:
        """Steps per second since the last row, and on a GPU the most memory held so far."""
        steps, seconds = self.progress.step - self._paced[0], self.progress.seconds - self._paced[1]
        self._paced = (self.progress.step, self.progress.seconds)
        pace = {"steps_per_second": steps / max(seconds, 1e-9)}
        if self.device.type == "cuda":
            pace["memory_gib"] = torch.cuda.max_memory_allocated(self.device) / 2**30
        return pace

    def _write(self, row: Mapping[str, Any]) -> None:
        self.folder.append_metrics(row)
        self.board.row(row)
        self.reporter.metrics(row)

    def _validate(self) -> None:
        """Measure the averaged generator, keep it where it is the best so far, and save a grid of samples."""
        self._check_weights()
        if self.group.is_main:
            progress = self.progress
            psnr, ssim = validate(self.average, self.valid, self.descriptor.scale, self.device)
            if math.isfinite(psnr) and psnr > progress.best_psnr:
                progress.best_psnr = psnr
                self._save_weights("best_psnr", {"validation": {"psnr_y": psnr, "ssim_y": ssim}})
            if math.isfinite(ssim) and ssim > progress.best_ssim:
                progress.best_ssim = ssim
                self._save_weights("best_ssim", {"validation": {"psnr_y": psnr, "ssim_y": ssim}})
            self._write({"step": progress.step, "psnr_y": psnr, "ssim_y": ssim})
            mask_of = partial(recipe_mask, self.recipe) if self.recipe.mask.mode != "none" else None
            grid = sample_grid(self.average, self.valid, self.descriptor.scale, self.device, mask_of)
            self.board.picture(grid, progress.step)
            with replacing(self.folder.samples / f"step_{progress.step:07d}.png") as temporary:
                grid.save(temporary, format="PNG")
        self.group.barrier()

    def _save_weights(self, which: str, metrics: dict[str, dict[str, float]]) -> None:
        header = copy.deepcopy(self.header)
        header.training.update(training_record(self.recipe, self.photos, self.progress, self.device))
        header.metrics.update(metrics)
        save_weights(self.folder.weights(which), self.average.state_dict(), header)

    def _save(self) -> None:
        """Weights, then state: a kill between the two leaves an older state, from which the weights come out again."""
        self._check_weights()
        if self.group.is_main:
            self.progress.scaler = self.training.scaler.state_dict()
            self._save_weights("last", {})
            save_state(self.folder.state_file, self._saved_networks(), self.training.optimisers, self.progress)
        self.group.barrier()
