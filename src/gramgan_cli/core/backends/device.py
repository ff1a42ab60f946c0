"""Choice of the device that networks run on."""

from __future__ import annotations

import torch

from gramgan_cli.core.errors import DeviceNotFound


def available_devices() -> list[str]:
    """Return the names that ``pick_device`` accepts on this computer, fastest first; 'cpu' is always last."""
    names = []
    if torch.cuda.is_available():
        names += ["cuda", *(f"cuda:{index}" for index in range(1, torch.cuda.device_count()))]
    if hasattr(torch, "xpu") and torch.xpu.is_available():
        names.append("xpu")
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def pick_device(name: str = "auto") -> torch.device:
    """Return the device called ``name``; 'auto' is the first available of CUDA, XPU, MPS and CPU.

    Raises:
        DeviceNotFound: there is no such device here; the message lists the available ones.
    """
    available = available_devices()
    if name == "auto":
        return torch.device(available[0])
    wanted = "cuda" if name == "cuda:0" else name
    if wanted not in available:
        raise DeviceNotFound(
            f"There is no device '{name}' on this computer.", f"Available: auto, {', '.join(available)}."
        )
    return torch.device(wanted)
