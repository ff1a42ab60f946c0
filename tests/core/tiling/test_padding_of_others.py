"""Sizes that don't divide, through other projects' networks: equal to spandrel's own padding, up to the border."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.models.commands import import_file
from gramgan_cli.engines.upscale.upscaler import Upscaler

spandrel = pytest.importorskip("spandrel", reason="needs the extra interop")
from spandrel.architectures import CRAFT, DITN, DRCT, SAFMN, RealCUGAN  # noqa: E402

SMALL: dict[str, Callable[[], nn.Module]] = {
    "DRCT": lambda: DRCT.DRCT(
        embed_dim=12, depths=[1], num_heads=[2], window_size=16, upscale=4, upsampler="pixelshuffle", img_size=16, gc=4
    ),
    "RealCUGAN 2x": lambda: RealCUGAN.UpCunet2x(),
    "RealCUGAN 4x": lambda: RealCUGAN.UpCunet4x(),
    "DITN": lambda: DITN.DITN(dim=8, ITL_blocks=1, SAL_blocks=1, UFONE_blocks=1, patch_size=8, upscale=4),
    "SAFMN": lambda: SAFMN.SAFMN(dim=8, n_blocks=1, upscaling_factor=4),
    "CRAFT": lambda: CRAFT.CRAFT(embed_dim=12, depths=[1], num_heads=[2], split_size_0=4, split_size_1=16, upscale=4),
}
"""Networks of each design, as small as its loader recognises."""


@pytest.mark.parametrize(("height", "width"), [(37, 51), (48, 43)])
@pytest.mark.parametrize("design", sorted(SMALL))
def test_networks_of_others_equal_spandrels_at_odd_sizes(design: str, height: int, width: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SMALL[design]()
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1 and parameter.numel() and "relative" not in name:
            nn.init.normal_(parameter, std=0.5 / parameter[0].numel() ** 0.5)
    torch.save({"params": network.state_dict()}, tmp_path / "theirs.pth")
    theirs: Any = spandrel.ModelLoader(device="cpu").load_from_file(tmp_path / "theirs.pth")
    assert theirs.architecture.id in design
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)[0]
    expected = expected.permute(1, 2, 0).numpy() * 255
    assert expected.std() > 1
    import_file(tmp_path / "theirs.pth", "theirs", None, overwrite=False)
    found = Upscaler(load_model("theirs"), torch.device("cpu"), tile=0).upscale(image)
    assert np.abs(found - expected).max() <= 1
