"""The training loop: batches, learning rates, steps, weight averaging, and periodic metrics, validation and saving."""

from __future__ import annotations

import copy
import dataclasses
import math
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gramgan_cli.core.data.crops import Batch
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.optim.ema import update_ema
from gramgan_cli.core.optim.schedules import stepped, warmup_cosine
from gramgan_cli.core.weights.header import save_weights
from gramgan_cli.engines.train.interrupt import stop_on_interrupt
from gramgan_cli.engines.train.options import TrainResult
from gramgan_cli.engines.train.run.checkpoint import save_network, save_state
from gramgan_cli.engines.train.run.loss_log import LossLog
from gramgan_cli.engines.train.run.record import training_record
from gramgan_cli.engines.train.run.tensorboard import TensorBoard
from gramgan_cli.engines.train.setup import Setup
from gramgan_cli.engines.train.steps.gan import recipe_mask
from gramgan_cli.engines.train.validate import sample_grid, validate, validation_loss
from gramgan_cli.recipes.schema import Recipe


def rate_share(recipe: Recipe, step: int) -> float:
    """Factor on the base learning rates at ``step``, by the recipe's schedule."""
    schedule = recipe.schedule
    if schedule.shape == "steps":
        return stepped(step, schedule.warmup, schedule.milestones, schedule.factor)
    return warmup_cosine(step, schedule.warmup, schedule.period or recipe.steps)


class Trainer:
    """Trains one stage until its last step or an interruption."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.recipe, self.folder, self.group = setup.recipe, setup.folder, setup.group
        self.training, self.progress = setup.training, setup.progress
        self._paced = (self.progress.step, self.progress.seconds)
        self._measured: tuple[int, dict[str, dict[str, float]]] = (-1, {})
        self._base_rates = {
            optimiser: [group["lr"] for group in optimiser.param_groups]
            for optimiser in self.training.optimisers.values()
        }

    def loop(self) -> TrainResult:
        """Train until the recipe's last step, or until a signal or a callback asks to stop."""
        recipe, progress, setup = self.recipe, self.progress, self.setup
        losses = LossLog(setup.device)
        setup.callbacks.on_begin(progress.step, recipe.steps)
        began, seconds_before, stopped = time.monotonic(), progress.seconds, False
        self.board = TensorBoard(self.folder.path if self.group.is_main else None)
        with stop_on_interrupt() as stop_requested:
            for batch in setup.photos.sampler.batches(progress.step, recipe.steps):
                share = rate_share(recipe, progress.step)
                self._set_rates(share)
                losses.add(self.training.step(self._to_device(batch), progress.step), progress.step)
                if setup.average is not setup.generator:
                    update_ema(setup.average, setup.generator, recipe.optimizer.ema, progress.step)
                progress.step += 1
                progress.seconds = seconds_before + time.monotonic() - began
                setup.callbacks.on_step(progress.step)
                stopped = self._should_stop(stop_requested)
                last = stopped or progress.step == recipe.steps
                valid = progress.step % recipe.valid_every == 0 or progress.step == recipe.steps
                save = progress.step % recipe.save_every == 0 or last
                if last or valid or save or progress.step % recipe.log_every == 0:
                    self.log(losses, share)
                if valid:
                    self.validate()
                if save:
                    self.save()
                if stopped:
                    break
        setup.callbacks.on_end()
        self.board.close()
        return TrainResult(progress.step, not stopped, self.folder.weights("last"))

    def _to_device(self, batch: Batch) -> Batch:
        """Move a batch to the networks' device; on CUDA from pinned memory, so that the copy overlaps computation."""
        device = self.setup.device
        if device.type == "cpu":
            return batch

        def move(tensor: Tensor) -> Tensor:
            pinned = tensor.pin_memory() if device.type == "cuda" else tensor
            return pinned.to(device, non_blocking=True)

        return Batch(move(batch.lr), move(batch.hr), batch.names, None if batch.ref is None else move(batch.ref))

    def _set_rates(self, share: float) -> None:
        for optimiser, rates in self._base_rates.items():
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * share

    def _should_stop(self, requested: threading.Event) -> bool:
        """Whether to stop after this step. Several processes synchronise only every tenth step."""
        if self.group.processes > 1 and self.progress.step % 10:
            return False
        return self.group.any(requested.is_set() or self.setup.callbacks.should_stop())

    def log(self, losses: LossLog, share: float) -> None:
        """Write the mean losses since the last row; raise GramganError if one was not finite."""
        means, broken = losses.take(self.group)
        if self.group.any(broken is not None):
            term, step = broken or ("a loss of another process", self.progress.step)
            files = ", ".join(self.setup.photos.sampler.batch(step).names)
            raise GramganError(
                f"The loss term '{term}' is not finite at step {step} (photos: {files}).", self._not_finite_hint()
            )
        if means and self.group.is_main:
            named = {f"loss.{name}": value for name, value in means.items()}
            rate = self.recipe.optimizer.rate * share
            self._write({"step": self.progress.step, "lr": rate, **named, **self._pace()})

    def _check_weights(self) -> None:
        """Raise GramganError if a network has non-finite weights, before they are saved over good ones."""
        for name, network in self.training.networks.items():
            if self.group.any(not all(bool(torch.isfinite(tensor).all()) for tensor in network.parameters())):
                raise GramganError(
                    f"The {name}'s weights are not finite after step {self.progress.step}.", self._not_finite_hint()
                )

    def _not_finite_hint(self) -> str:
        """Hint about non-finite values. It suggests a new run, since a resumed one keeps its recipe."""
        last = self.folder.weights("last")
        start = f" from the last good weights (`init` {last})" if last.is_file() else ""
        rate = self.recipe.optimizer.rate
        return (
            f"Start another run{start}, with another `out` and a lower rate (`settings` optimizer.rate={rate / 4:g}) "
            "or clipped gradients (`settings` optimizer.clip=0.5)."
        )

    def _pace(self) -> dict[str, float]:
        """Steps per second since the last row, and on CUDA the peak memory in GiB."""
        steps, seconds = self.progress.step - self._paced[0], self.progress.seconds - self._paced[1]
        self._paced = (self.progress.step, self.progress.seconds)
        pace = {"steps_per_second": steps / max(seconds, 1e-9)}
        if self.setup.device.type == "cuda":
            pace["memory_gib"] = torch.cuda.max_memory_allocated(self.setup.device) / 2**30
        return pace

    def _write(self, row: Mapping[str, Any]) -> None:
        self.folder.append_metrics(row)
        self.board.row(row)
        self.setup.callbacks.on_metrics(row)

    def validate(self) -> None:
        """Measure the averaged generator, save it if it is the best so far, and save a grid of samples."""
        self._check_weights()
        if self.group.is_main:
            setup, progress = self.setup, self.progress
            psnr, ssim = validate(setup.average, setup.descriptor, setup.photos.valid, setup.device)
            measured = {"psnr_y": psnr, "ssim_y": ssim}
            if self.recipe.valid_loss:
                terms, valid = self.training.picture_terms, setup.photos.valid
                measured["valid_loss"] = validation_loss(setup.average, terms, valid, self.recipe, setup.device)
            self._measured = (progress.step, {"validation": measured})
            self._keep_best(measured)
            self._write({"step": progress.step, **measured})
            self._save_samples()
        self.group.barrier()

    def _keep_best(self, measured: dict[str, float]) -> None:
        """Save the weights, and the discriminator's, under each validation metric that improved."""
        progress = self.progress
        for which, key, sign in (("psnr", "psnr_y", 1), ("ssim", "ssim_y", 1), ("loss", "valid_loss", -1)):
            value, best = measured.get(key, math.nan), getattr(progress, f"best_{which}")
            if not math.isfinite(value) or sign * value <= sign * best:
                continue
            setattr(progress, f"best_{which}", value)
            self._save_weights(f"best_{which}", {"validation": measured})
            if "discriminator" in self.training.networks:
                save_network(self.folder.discriminator(f"best_{which}"), self.training.networks["discriminator"])

    def _save_samples(self) -> None:
        """Save a grid of validation samples in the run folder and in TensorBoard."""
        setup, step = self.setup, self.progress.step
        mask_of = partial(recipe_mask, self.recipe) if self.recipe.mask.mode != "none" else None
        grid = sample_grid(setup.average, setup.descriptor, setup.photos.valid, setup.device, mask_of)
        self.board.picture(grid, step)
        with replacing(self.folder.samples / f"step_{step:07d}.png") as temporary:
            grid.save(temporary, format="PNG")

    def _save_weights(self, which: str, metrics: dict[str, dict[str, float]]) -> None:
        header = dataclasses.replace(copy.deepcopy(self.setup.header), licence=self.progress.licence)
        photos, device = self.setup.photos.listed, self.setup.device
        header.training.update(training_record(self.recipe, photos, self.progress, device))
        header.metrics.update(metrics)
        save_weights(self.folder.weights(which), self.setup.average.state_dict(), header)

    def save(self) -> None:
        """Save weights, then state. A kill in between leaves the older state, which leads to the same weights."""
        self._check_weights()
        if self.group.is_main:
            self.progress.scaler = self.training.scaler.state_dict()
            step, metrics = self._measured
            self._save_weights("last", metrics if step == self.progress.step else {})
            networks = self.setup.saved_networks
            save_state(self.folder.state_file, networks, self.training.optimisers, self.progress)
        self.group.barrier()
