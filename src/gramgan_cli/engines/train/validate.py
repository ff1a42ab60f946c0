"""Validation in training: Y-PSNR and SSIM of whole photos, by the convention of ``gramgan bench``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from gramgan_cli.core.archs import Descriptor
from gramgan_cli.core.data.crops import to_tensor
from gramgan_cli.core.data.grey import as_rgb8
from gramgan_cli.core.data.prepared import PreparedPhoto
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.samples import WHITE
from gramgan_cli.core.metrics import psnr_grey, psnr_y, ssim_grey, ssim_y
from gramgan_cli.core.metrics.ssim import WINDOW
from gramgan_cli.core.resize.matlab import Levels, imresize
from gramgan_cli.core.tiling.padding import run_padded
from gramgan_cli.engines.train.steps.generate import generate
from gramgan_cli.engines.train.steps.terms import PictureTerms, weighted_sum
from gramgan_cli.engines.train.steps.value_range import as_rgb
from gramgan_cli.recipes.schema import Recipe


@torch.inference_mode()
def enlarge(
    network: nn.Module,
    described: Descriptor,
    lr: Levels,
    ref: NDArray[np.uint8] | None,
    device: torch.device,
) -> Levels:
    """Upscale a whole LR (h, w, C) in fp32, with a reference if given; rounded half up to the type of ``lr``."""
    references = [] if ref is None else [to_tensor([ref]).to(device)]

    def run(x: Tensor) -> Tensor:
        sr: Tensor = network(x, *references)
        return sr

    sr = run_padded(run, to_tensor([lr]).to(device), described.multiple_of, described.scale)[0].float()
    levels = torch.floor(sr.clamp(0, 1) * WHITE[lr.dtype] + 0.5).to(torch.int32)
    return levels.permute(1, 2, 0).cpu().numpy().astype(lr.dtype)


def accuracy(sr: Levels, hr: Levels, scale: int) -> tuple[float, float]:
    """PSNR in dB and SSIM, on Y of 8-bit RGB or directly on grey levels (``bench --convention grey``)."""
    if hr.shape[2] == 1:
        return psnr_grey(sr, hr, scale), ssim_grey(sr, hr, scale)
    colours = sr.astype(np.uint8, copy=False), hr.astype(np.uint8, copy=False)
    return psnr_y(*colours, scale), ssim_y(*colours, scale)


def measurable(photos: Sequence[PreparedPhoto], scale: int, crop: int = 0) -> list[PreparedPhoto]:
    """The photos that are large enough for the measured crop (0: the whole photo) and for SSIM's window.

    The window must fit after the border is cut. Raises GramganError if the crop is too small or no photo remains.
    """
    window = WINDOW + 2 * scale
    if 0 < crop < window:
        raise GramganError(f"Validation needs crops of at least {window} px, not {crop}.", "Set `data.hr_crop`.")
    least = max(window, crop)
    large = [photo for photo in photos if min(photo.hr.shape[:2]) >= least]
    if not large:
        raise GramganError(
            f"None of the {len(photos)} validation photos has {least} pixels on both sides.",
            "Choose larger ones with `valid_dir` DIR.",
        )
    return large


def validate(
    network: nn.Module, described: Descriptor, photos: Sequence[PreparedPhoto], device: torch.device
) -> tuple[float, float]:
    """Mean Y-PSNR in dB and mean SSIM over ``photos``, with the network in evaluation mode."""
    was_training = network.training
    network.eval()
    psnr, ssim = [], []
    for photo in photos:
        sr, hr = enlarge(network, described, photo.lr, photo.ref, device), np.asarray(photo.hr)
        measured = accuracy(sr, hr, described.scale)
        psnr.append(measured[0])
        ssim.append(measured[1])
    network.train(was_training)
    return float(np.mean(psnr)), float(np.mean(ssim))


@torch.inference_mode()
def validation_loss(
    network: nn.Module, terms: PictureTerms, photos: Sequence[PreparedPhoto], recipe: Recipe, device: torch.device
) -> float:
    """Mean over ``photos`` of the generator's loss without the discriminator's terms, in fp32."""
    was_training = network.training
    network.eval()
    losses = []
    for photo in photos:
        lr, hr = (to_tensor([np.asarray(side)]).to(device) for side in (photo.lr, photo.hr))
        ref = None if photo.ref is None else to_tensor([photo.ref]).to(device)
        generated = generate(network, terms.described, lr, ref, "fp32", device)
        losses.append(float(weighted_sum(terms(generated, hr, 0), recipe)))
    network.train(was_training)
    return float(np.mean(losses))


def sample_grid(
    network: nn.Module,
    described: Descriptor,
    photos: Sequence[PreparedPhoto],
    device: torch.device,
    mask_of: Callable[[Tensor], Tensor] | None = None,
    side: int = 48,
) -> Image.Image:
    """Grid with a row per photo (at most four): its centre crop as LR (nearest neighbour), bicubic, SR and HR.

    ``mask_of``, (1, 3, H, W) -> (1, 1, H, W), adds the discriminator's mask of HR as a last column.
    """
    was_training = network.training
    network.eval()
    scale = described.scale
    rows = []
    for photo in photos[:4]:
        height, width = (min(side, n) for n in photo.lr.shape[:2])
        top, left = (photo.lr.shape[0] - height) // 2, (photo.lr.shape[1] - width) // 2
        lr = np.asarray(photo.lr[top : top + height, left : left + width])
        hr = np.asarray(photo.hr[top * scale : (top + height) * scale, left * scale : (left + width) * scale])
        sr = enlarge(network, described, lr, photo.ref, device)
        cells: list[Levels] = [lr.repeat(scale, 0).repeat(scale, 1), imresize(lr, scale), sr, hr]
        if mask_of is not None:
            mask = mask_of(as_rgb(to_tensor([hr])))[0, 0].numpy().astype(np.uint8) * 255
            cells.append(mask[..., None].repeat(3, 2))
        cells = [as_rgb8(cell) for cell in cells]
        row = np.zeros((side * scale, len(cells) * side * scale, 3), np.uint8)
        for column, cell in enumerate(cells):
            start = column * side * scale
            row[: cell.shape[0], start : start + cell.shape[1]] = cell
        rows.append(row)
    network.train(was_training)
    return Image.fromarray(np.concatenate(rows))
