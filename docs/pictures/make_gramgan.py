"""Make the pictures of docs/gramgan.md from the example photos: masks, and patches with the matches found for them.

python docs/pictures/make_gramgan.py
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from gramgan_cli.core.resize.matlab import imresize, make_lr
from gramgan_cli.core.texture.gram import packed_gram
from gramgan_cli.core.texture.patchdb.query import build_index, combined_query
from gramgan_cli.core.texture.patches import cut_patches
from gramgan_cli.engines.data.bank import build_bank
from gramgan_cli.engines.data.mask import make_masks

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "examples"
CELL, GAP = 56, 4
WHITE = 255

Pixels = NDArray[np.uint8]


def read(path: Path) -> Pixels:
    """(H, W, 3)."""
    return np.asarray(Image.open(path).convert("RGB"))


def stack(rows: list[list[Pixels]]) -> Pixels:
    """A grid of equally large pictures on white."""
    height, width = rows[0][0].shape[:2]
    out = np.full((len(rows) * (height + GAP) - GAP, len(rows[0]) * (width + GAP) - GAP, 3), WHITE, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            out[i * (height + GAP) :, j * (width + GAP) :][:height, :width] = picture
    return out


def masks() -> None:
    """Photo, grid mask, sliding mask; one photo per row."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, top, left in (("brick.png", 0, 0), ("rocket.jpg", 60, 190), ("chelsea.png", 20, 120)):
            crop = read(EXAMPLES / name)[top : top + 220, left : left + 300]
            source = Path(folder) / "crop.png"
            Image.fromarray(crop).save(source)
            row = [crop]
            for mode in ("grid", "sliding"):
                target = Path(folder) / f"{mode}.png"
                make_masks([(source, target)], mode=mode, overlay=True)
                row.append(read(target))
            rows.append(row)
    Image.fromarray(stack(rows)).save(HERE / "gramgan_masks.jpg", quality=82)


def enlarged(patch: torch.Tensor) -> Pixels:
    """(3, s, s) in 0..255 -> CELL x CELL, each pixel a square."""
    picture = Image.fromarray(patch.permute(1, 2, 0).to(torch.uint8).numpy())
    return np.asarray(picture.resize((CELL, CELL), Image.Resampling.NEAREST))


def matches(size: int, count: int = 12) -> list[list[Pixels]]:
    """Rows: HR patches of one photo; bicubic SR; the match in the raw form; the match in the centred form."""
    hr = read(EXAMPLES / "chelsea.png")[:300, :448]
    sr = imresize(make_lr(hr, 4), 4.0)
    generator = torch.Generator().manual_seed(4)
    places = torch.stack(
        (torch.randint(20, 240, (count,), generator=generator), torch.randint(60, 360, (count,), generator=generator)),
        dim=-1,
    )[None]
    hr_patches, sr_patches = (
        cut_patches(torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float(), places, size)[0]
        for image in (hr, sr)
    )
    rows = [[enlarged(p) for p in hr_patches], [enlarged(p) for p in sr_patches]]
    with tempfile.TemporaryDirectory() as folder:
        others = Path(folder) / "others"
        others.mkdir()
        for path in EXAMPLES.iterdir():
            if path.suffix in (".png", ".jpg") and path.stem != "chelsea":
                shutil.copy(path, others)
        bank = build_bank(others, Path(folder) / "bank.safetensors", patch_size=size)
        for centered in (False, True):
            query = combined_query(*(packed_gram(p / 255, centered) for p in (hr_patches, sr_patches)))
            best = build_index(bank.grams(centered), torch.device("cpu")).find_best(query)
            rows.append([enlarged(p) for p in bank.patches.flatten(0, 1)[best]])
        del bank
    return rows


def main() -> None:
    """All pictures."""
    masks()
    for size in (4, 8):
        Image.fromarray(stack(matches(size))).save(HERE / f"gramgan_matches_{size}.png", optimize=True)


if __name__ == "__main__":
    main()
