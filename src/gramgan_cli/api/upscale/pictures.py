"""Conversion of numpy, PIL and torch pictures to arrays for a network, and back to the same type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.images.alpha import extend_colours

Array = NDArray[Any]

Picture = TypeVar("Picture", Array, Image.Image, torch.Tensor)
"""Numpy (H, W) or (H, W, C), PIL, or torch (C, H, W) or (B, C, H, W)."""

DIRECT_MODES = ("L", "LA", "RGB", "RGBA", "I;16")
"""PIL modes that need no conversion."""

KEPT_INFO = ("icc_profile", "exif", "dpi")
"""Keys of a PIL picture's ``info`` that the result keeps."""

COMPUTED = {"uint8": "uint8", "uint16": "uint16", "float16": "float32", "float32": "float32", "float64": "float32"}
"""Type of computation by the type of the pixels."""

Enlarge = Callable[[Array], Array]
"""Upscales (H, W, C) uint8, uint16 or float32 in [0, 1] to the same type."""


def enlarged(picture: Picture, enlarge: Enlarge) -> Picture:
    """Upscale a picture; the result has the same type, dtype and number of dimensions.

    Args:
        picture: integers over their full range, or floating point in [0, 1]; C is 1 (grey), 2 (grey and alpha), 3 (RGB)
            or 4 (RGB and alpha).
        enlarge: called with one array at a time.

    Raises:
        UsageError: the shape, dtype or PIL mode is not supported.
        TypeError: ``picture`` is of another type.
    """
    if isinstance(picture, np.ndarray):
        return _enlarged_array(picture, enlarge)
    if isinstance(picture, Image.Image):
        return _enlarged_pil(picture, enlarge)
    if isinstance(picture, torch.Tensor):
        return _enlarged_tensor(picture, enlarge)
    raise TypeError(f"an image must be a numpy array, a PIL image or a torch tensor, not {type(picture).__name__}")


def prepared(array: Array) -> Array:
    """Prepare (H, W) or (H, W, C) for a network: (H, W, C) with colours extended under transparent pixels.

    Values that are not finite become 0.
    """
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4) or not array.size:
        raise UsageError(f"An array of shape {array.shape} is not an image.", "Pass (H, W) or (H, W, C), C 1 to 4.")
    if array.dtype.name not in COMPUTED:
        raise UsageError(f"Pixels of type {array.dtype} are not supported.", f"Supported: {', '.join(COMPUTED)}.")
    array = array.astype(COMPUTED[array.dtype.name], copy=False)
    if array.dtype == np.float32 and not np.isfinite(array).all():
        array = np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0)
    return extend_colours(array) if array.shape[2] in (2, 4) else array


def _enlarged_array(picture: Array, enlarge: Enlarge) -> Array:
    result = enlarge(prepared(picture)).astype(picture.dtype, copy=False)
    return result[:, :, 0] if picture.ndim == 2 else result


def _enlarged_pil(picture: Image.Image, enlarge: Enlarge) -> Image.Image:
    picture = _direct(picture)
    result = Image.fromarray(_enlarged_array(np.asarray(picture), enlarge))
    result.info = {key: picture.info[key] for key in KEPT_INFO if key in picture.info}
    return result


def _direct(picture: Image.Image) -> Image.Image:
    """Convert a picture to one of ``DIRECT_MODES``: palettes to RGB or RGBA, 1-bit pictures to grey."""
    if picture.mode in DIRECT_MODES:
        return picture
    if picture.mode in ("P", "PA"):
        return picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    if picture.mode == "1":
        return picture.convert("L")
    raise UsageError(f"PIL images of mode {picture.mode} are not supported.", "Convert it first: .convert('RGB')")


def _enlarged_tensor(picture: torch.Tensor, enlarge: Enlarge) -> torch.Tensor:
    if picture.ndim == 4:
        return torch.stack([_enlarged_tensor(one, enlarge) for one in picture])
    if picture.ndim != 3:
        shape = tuple(picture.shape)
        raise UsageError(f"A tensor of shape {shape} is not an image.", "Pass (C, H, W) or (B, C, H, W).")
    values = picture.detach().cpu()
    if values.dtype == torch.bfloat16:
        values = values.float()
    result = _enlarged_array(np.ascontiguousarray(values.permute(1, 2, 0).numpy()), enlarge)
    return torch.from_numpy(np.ascontiguousarray(result.transpose(2, 0, 1))).to(picture.device, picture.dtype)
