"""The transferal perceptual loss: its formula, and which parameters get gradients."""

from __future__ import annotations

import numpy as np
import torch

from gramgan_cli.core import archs
from gramgan_cli.core.archs.ttsr import TTSR
from gramgan_cli.core.losses.transferal import transferal_perceptual


def test_equals_the_formula_for_a_constant_score() -> None:
    generator = np.random.default_rng(0)
    sr = [generator.normal(size=(2, 4, 8, 8)), generator.normal(size=(2, 6, 4, 4)), generator.normal(size=(2, 8, 2, 2))]
    texture = [generator.normal(size=maps.shape) for maps in sr]
    sigmoid = 1 / (1 + np.exp(-0.3))
    expected = np.mean([np.mean((a * sigmoid - b * sigmoid) ** 2) for a, b in zip(sr, texture, strict=True)])
    result = transferal_perceptual(
        [torch.from_numpy(m) for m in sr], [torch.from_numpy(m) for m in texture], torch.full((2, 1, 2, 2), 0.3)
    )
    np.testing.assert_allclose(result.item(), expected, rtol=1e-6)


def test_confident_positions_count_more() -> None:
    sr, texture = [torch.zeros(1, 1, 4, 8)], [torch.zeros(1, 1, 4, 8)]
    scores = torch.full((1, 1, 4, 8), -5.0)
    scores[..., 4:] = 5.0
    unsure, sure = texture[0].clone(), texture[0].clone()
    unsure[..., 1], sure[..., 6] = 1, 1
    assert transferal_perceptual(sr, [sure], scores) > 100 * transferal_perceptual(sr, [unsure], scores)


def test_gradients_never_reach_textures_scores_or_the_extractor() -> None:
    torch.manual_seed(0)
    network = archs.build("ttsr", {"nf": 8, "blocks": [1, 1, 1, 1]})
    assert isinstance(network, TTSR)
    lr, ref = torch.rand(1, 3, 6, 6), torch.rand(1, 3, 24, 24)
    sr, texture = network(lr, ref, with_texture=True)
    for tensor in (*texture.levels, texture.match.scores):
        assert tensor.requires_grad
        tensor.retain_grad()
    own_sr = sr.detach().requires_grad_(True)
    loss = transferal_perceptual(network.extractor.frozen(own_sr), texture.levels, texture.match.scores)
    loss.backward()
    assert own_sr.grad is not None
    assert own_sr.grad.abs().sum() > 0
    assert all(tensor.grad is None for tensor in (*texture.levels, texture.match.scores))
    assert all(parameter.grad is None for parameter in network.parameters())
    # Through SR the loss trains the network: the main network directly, the extractor through the textures.
    transferal_perceptual(network.extractor.frozen(sr), texture.levels, texture.match.scores).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_frozen_extractor_is_this_step_s() -> None:
    torch.manual_seed(0)
    network = archs.build("ttsr", {"nf": 8, "blocks": [1, 1, 1, 1]})
    assert isinstance(network, TTSR)
    image = torch.rand(1, 3, 16, 16)
    for _ in range(2):
        for frozen, own in zip(network.extractor.frozen(image), network.extractor(image), strict=True):
            assert torch.equal(frozen, own)
        with torch.no_grad():
            network.extractor.features["0"].weight.mul_(1.5)
