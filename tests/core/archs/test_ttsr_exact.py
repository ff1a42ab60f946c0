"""TTSR against a plain reimplementation from the paper's equations and tables (Yang et al., CVPR 2020)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from plain_networks import Weights, check, random_image, randomised, relu, shuffle
from torch import Tensor

from gramgan_cli.core import archs
from gramgan_cli.core.archs.ttsr import TTSR
from gramgan_cli.core.resize import matlab as resize


def cubic(distance: float) -> float:
    """Keys' kernel with a = -0.75, as in PyTorch's bicubic resize."""
    a, x = -0.75, abs(distance)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def up(x: Tensor, factor: int) -> Tensor:
    """Bicubic upscaling as a matrix per axis, with repeated edges."""

    def matrix(length: int) -> Tensor:
        out = torch.zeros(factor * length, length, dtype=torch.float64)
        for row in range(factor * length):
            centre = (row + 0.5) / factor - 0.5
            for tap in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
                out[row, min(max(tap, 0), length - 1)] += cubic(centre - tap)
        return out

    return torch.einsum("ih,bchw,jw->bcij", matrix(x.shape[-2]), x, matrix(x.shape[-1]))


def plain_lte(w: Weights, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Texture extractor: VGG19's convolutions 0, 2, 5, 7 and 10, each with ReLU; pooling before 5 and 10."""
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=image.dtype).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225], dtype=image.dtype).view(1, 3, 1, 1)

    def pool(x: Tensor) -> Tensor:
        return torch.stack([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]).amax(0)

    name = "extractor.features"
    one = relu(w.conv(f"{name}.0", (image - mean) / deviation))
    two = relu(w.conv(f"{name}.5", pool(relu(w.conv(f"{name}.2", one)))))
    return one, two, relu(w.conv(f"{name}.10", pool(relu(w.conv(f"{name}.7", two)))))


def plain_texture(q: Tensor, k: Tensor, v: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Search and hard attention for one picture, patch by patch: S (h, w) and T at three levels."""
    height, width = q.shape[1:]
    border = np.pad(q.numpy(), ((0, 0), (1, 1), (1, 1)), mode="edge")
    positions = [(y, x) for y in range(1, k.shape[1] - 1) for x in range(1, k.shape[2] - 1)]
    keys = np.stack([k.numpy()[:, y - 1 : y + 2, x - 1 : x + 2].ravel() for y, x in positions])
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    scores = torch.zeros(height, width, dtype=torch.float64)
    totals = [torch.zeros(m.shape[0], f * (height + 2), f * (width + 2)) for m, f in zip(v, (4, 2, 1), strict=True)]
    totals = [total.double() for total in totals]
    counts = [torch.zeros_like(total) for total in totals]
    for row in range(height):
        for column in range(width):
            patch = border[:, row : row + 3, column : column + 3].ravel()
            products = keys @ (patch / np.linalg.norm(patch))
            best = int(products.argmax())
            scores[row, column] = float(products[best])
            y, x = positions[best]
            for level, f in enumerate((4, 2, 1)):
                to = (..., slice(f * row, f * (row + 3)), slice(f * column, f * (column + 3)))
                totals[level][to] += v[level][:, f * (y - 1) : f * (y + 2), f * (x - 1) : f * (x + 2)]
                counts[level][to] += 1
    return scores, [(t / c)[:, f:-f, f:-f] for t, c, f in zip(totals, counts, (4, 2, 1), strict=True)]


def plain_main(w: Weights, lr: Tensor, t1: Tensor, t2: Tensor, t3: Tensor, s: Tensor, blocks: list[int]) -> Tensor:
    """The main network, layer by layer."""

    def conv(name: str, *parts: Tensor, stride: int = 1) -> Tensor:
        return w.conv(f"main.{name}", torch.cat(parts, 1), stride)

    def trunk(name: str, x: Tensor, count: int) -> Tensor:
        for block in range(count):
            inner = relu(conv(f"{name}.blocks.{block}.conv1", x))
            x = x + conv(f"{name}.blocks.{block}.conv2", inner)
        return conv(f"{name}.tail", x)

    x1 = relu(conv("conv_first", lr))
    x1 = x1 + trunk("shallow", x1, blocks[0])
    x1 = x1 + conv("inject3.conv", x1, t3) * s
    x1 = x1 + trunk("trunk11", x1, blocks[1])

    x2 = relu(shuffle(conv("double12.conv", x1), 2))
    x2 = x2 + conv("inject2.conv", x2, t2) * up(s, 2)
    y1 = relu(conv("csfi2.merge1", x1, relu(conv("csfi2.down21", x2, stride=2))))
    y2 = relu(conv("csfi2.merge2", x2, relu(conv("csfi2.up12", up(x1, 2)))))
    x1 = x1 + trunk("trunk21", y1, blocks[2])
    x2 = x2 + trunk("trunk22", y2, blocks[2])

    x3 = relu(shuffle(conv("double23.conv", x2), 2))
    x3 = x3 + conv("inject1.conv", x3, t1) * up(s, 4)
    down31 = relu(conv("csfi3.down31.2", relu(conv("csfi3.down31.0", x3, stride=2)), stride=2))
    y1 = relu(conv("csfi3.merge1", x1, relu(conv("csfi3.down21", x2, stride=2)), down31))
    y2 = relu(conv("csfi3.merge2", x2, relu(conv("csfi3.up12", up(x1, 2))), relu(conv("csfi3.down32", x3, stride=2))))
    y3 = relu(conv("csfi3.merge3", x3, relu(conv("csfi3.up13", up(x1, 4))), relu(conv("csfi3.up23", up(x2, 2)))))
    x1 = x1 + trunk("trunk31", y1, blocks[3])
    x2 = x2 + trunk("trunk32", y2, blocks[3])
    x3 = x3 + trunk("trunk33", y3, blocks[3])

    merged = relu(
        conv("merge_tail.merge", x3, relu(conv("merge_tail.up13", up(x1, 4))), relu(conv("merge_tail.up23", up(x2, 2))))
    )
    return conv("merge_tail.tail2", conv("merge_tail.tail1", merged))


def matlab(image: Tensor, scale: float) -> Tensor:
    """The numpy resize on (1, 3, H, W)."""
    return torch.from_numpy(resize.imresize(image[0].permute(1, 2, 0).numpy(), scale)).permute(2, 0, 1)[None]


@torch.no_grad()
def test_ttsr() -> None:
    blocks = [2, 1, 2, 1]
    network = randomised(archs.build("ttsr", {"nf": 6, "blocks": blocks}))
    assert isinstance(network, TTSR)
    for parameter in network.main.parameters():
        parameter.mul_(0.5)
    lr, ref = random_image(1, 3, 5, 7), random_image(1, 3, 23, 30)
    w, cut = Weights(network), ref[..., :20, :28]
    q = plain_lte(w, matlab(lr, 4.0))[2][0]
    k = plain_lte(w, matlab(matlab(cut, 0.25), 4.0))[2][0]
    v1, v2, v3 = (level[0] for level in plain_lte(w, cut))
    scores, (t1, t2, t3) = plain_texture(q, k, (v1, v2, v3))
    plain = plain_main(w, 2 * lr - 1, t1[None], t2[None], t3[None], scores[None, None], blocks)

    network.train()
    sr, texture = network(lr, ref, with_texture=True)
    check(texture.match.scores[0, 0], scores, w)
    for mine, expected in zip(texture.levels, (t1, t2, t3), strict=True):
        check(mine[0], expected, w)
    check(2 * sr - 1, plain, w)
    # Values are clipped to [0, 1] in evaluation mode only.
    assert float(sr.min()) < 0 or float(sr.max()) > 1
    assert torch.equal(network.eval()(lr, ref), sr.clamp(0, 1))


def layers(*rows: tuple[int, int, int]) -> Iterator[int]:
    """Number of parameters of convolutions with bias, given as (side, in, out)."""
    return (side * side * i * o + o for side, i, o in rows)


def test_parameter_counts_of_ttsr_s_parts() -> None:
    with torch.device("meta"):
        network = archs.build("ttsr", {})
    assert isinstance(network, TTSR)
    vgg = sum(layers((3, 3, 64), (3, 64, 64), (3, 64, 128), (3, 128, 128), (3, 128, 256)))
    assert archs.parameter_count(network.extractor) == vgg == 555_328
    blocks, trunks = 2 * (16 + 16 + 2 * 8 + 3 * 4), 1 + 1 + 2 + 3
    main = sum(layers((3, 3, 64), *[(3, 64, 64)] * (blocks + trunks), (3, 320, 64), (3, 192, 64), (3, 128, 64)))
    main += sum(layers(*[(3, 64, 256)] * 2, *[(1, 64, 64)] * 6, *[(3, 64, 64)] * 5))
    main += sum(layers(*[(3, 128, 64)] * 2, *[(3, 192, 64)] * 4, (3, 64, 32), (1, 32, 3)))
    assert archs.parameter_count(network.main) == main == 6_174_275
