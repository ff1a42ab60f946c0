"""The differentiable resize against the numpy one, which is bit-identical to MATLAB's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gramgan_cli.core.resize import matlab as resize
from gramgan_cli.core.resize.torch_matlab import imresize


@pytest.mark.parametrize("scale", [0.25, 4.0, 0.37, 1.9, 1 / 3])
@pytest.mark.parametrize("border", ["symmetric", "replicate"])
@pytest.mark.parametrize("size", [(23, 40), (4, 3), (1, 9)])
def test_equals_the_numpy_form(scale: float, border: resize.Border, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).uniform(-1, 2, (*size, 3))
    expected = resize.imresize(image, scale, border=border)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
    result = imresize(tensor, scale, border=border)
    torch.testing.assert_close(result[0].permute(1, 2, 0), torch.from_numpy(expected), rtol=0, atol=1e-14)
    assert imresize(tensor.float(), scale, border=border).dtype == torch.float32


def test_an_explicit_size_is_used() -> None:
    image = np.random.default_rng(1).uniform(0, 1, (9, 14))
    expected = resize.imresize(image, 0.5, size=(4, 7))
    result = imresize(torch.from_numpy(image), 0.5, size=(4, 7))
    torch.testing.assert_close(result, torch.from_numpy(expected), rtol=0, atol=1e-14)


def test_gradients_are_the_finite_differences() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 2, 6, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: imresize(imresize(x, 0.4), 2.5), image)
