"""Saved state of a run for an exact resume: one file with a checksum, replaced atomically."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from gramgan_cli.core.errors import StateDamaged
from gramgan_cli.core.io.files import replacing

KEY = "gramgan-state"
CHECKSUM = "sha256"
"""Keys of the safetensors metadata: the progress as JSON, and the checksum of progress and tensors."""


@dataclass
class Progress:
    """Progress of a run: all of its state that is not a tensor."""

    step: int = 0
    """Steps done."""
    seconds: float = 0.0
    """Time spent on them, in total over all resumes."""
    best_psnr: float = float("-inf")
    """Highest validation Y-PSNR so far."""
    best_ssim: float = float("-inf")
    """Highest validation SSIM so far."""
    best_loss: float = float("inf")
    """Lowest validation loss so far."""
    origin: dict[str, Any] = field(default_factory=dict)
    """Training record of the initial weights; empty for random ones."""
    licence: str = "unknown"
    """Licence of the initial weights."""
    scaler: dict[str, float] = field(default_factory=dict)
    """State of the fp16 gradient scaler."""
    photos: str = ""
    """Checksum of the names of the photos; empty in states of older versions."""
    bank: str = ""
    """Checksum of the texture bank; empty without one and in states of older versions."""


def _optimiser_tensors(name: str, optimiser: Optimizer) -> dict[str, Tensor]:
    """Moments and step counts of an optimiser, keyed ``name/parameter number/entry``."""
    return {
        f"{name}/{number}/{key}": torch.as_tensor(value)
        for number, entry in optimiser.state_dict()["state"].items()
        for key, value in entry.items()
    }


def _restore_optimiser(name: str, optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore moments and step counts. Moments take their parameter's memory format, which fused Adam relies on."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        owner, _, rest = key.partition("/")
        if owner == name:
            number, _, entry = rest.partition("/")
            parameter = parameters[int(number)]
            laid_out = (
                torch.empty_like(parameter, dtype=tensor.dtype, device="cpu").copy_(tensor) if tensor.ndim else tensor
            )
            state.setdefault(int(number), {})[entry] = laid_out
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def save_state(
    path: Path, networks: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer], progress: Progress
) -> None:
    """Write networks (parameters and buffers), optimisers, torch's random state and progress to ``path``."""
    tensors = {"random": torch.get_rng_state()}
    for name, network in networks.items():
        tensors |= {f"{name}/{key}": value for key, value in network.state_dict().items()}
    for name, optimiser in optimisers.items():
        tensors |= _optimiser_tensors(name, optimiser)
    plain = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
    facts = json.dumps(asdict(progress))
    with replacing(path) as temporary:
        save_file(plain, temporary, metadata={KEY: facts, CHECKSUM: _checksum(plain, facts)})


def _checksum(tensors: Mapping[str, Tensor], facts: str) -> str:
    """SHA-256 over progress and over each tensor's name, type, shape and bytes, in hexadecimal."""
    digest = hashlib.sha256(facts.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        if tensor.numel():
            stored: Any = tensor.reshape(-1).view(torch.uint8).numpy()
            digest.update(stored)
    return digest.hexdigest()


def saved_step(path: Path) -> int:
    """Number of steps done in a saved state. Raises StateDamaged if the file can't be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return int(json.loads((file.metadata() or {})[KEY])["step"])
    except _UNREADABLE as error:
        raise StateDamaged(f"{path} is not a training state ({error}).", _WAY_ON) from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Progress and tensors of a state whose checksum is right."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        facts: dict[str, Any] = json.loads(metadata[KEY])
    except _UNREADABLE as error:
        raise StateDamaged(f"{path} is not a training state ({error}).", _WAY_ON) from error
    # Older states have no checksum, only the progress.
    if metadata.keys() != {KEY} and metadata.get(CHECKSUM) != _checksum(tensors, metadata[KEY]):
        raise StateDamaged(f"{path} is damaged: its checksum does not match.", _WAY_ON)
    return facts, tensors


_UNREADABLE = (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError, RuntimeError)
_WAY_ON = "Start a new run from its last weights, or restore the file from a backup."


def save_network(path: Path, network: nn.Module) -> None:
    """Write a network's parameters and buffers, without a header."""
    plain = {key: value.detach().cpu().contiguous().clone() for key, value in network.state_dict().items()}
    with replacing(path) as temporary:
        save_file(plain, temporary)


def load_state(path: Path, networks: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer]) -> Progress:
    """Load the saved state into networks, optimisers and torch's random generator, in place.

    Raises:
        StateDamaged: the file can't be read, has a wrong checksum, or does not match the run's networks.
    """
    facts, tensors = _read(path)
    try:
        progress = Progress(**facts)
        for name, network in networks.items():
            own = {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}
            network.load_state_dict(own)
        for name, optimiser in optimisers.items():
            _restore_optimiser(name, optimiser, tensors)
        torch.set_rng_state(tensors["random"])
    except (RuntimeError, ValueError, LookupError, TypeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise StateDamaged(f"{path} does not fit this run ({reason}).", _WAY_ON) from error
    return progress
