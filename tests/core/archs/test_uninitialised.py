"""Building networks without initialisation, for weights from a file."""

from __future__ import annotations

import torch
from torch import nn

from gramgan_cli.core.archs.initialise import Uninitialised


def test_truncated_normal_terminates_for_any_uninitialised_memory():
    weight = torch.full((4, 4), 1e30)
    with Uninitialised():
        nn.init.trunc_normal_(weight, std=0.02)
    assert torch.equal(weight, torch.zeros(4, 4))


def test_no_random_number_is_drawn():
    before = torch.get_rng_state()
    with Uninitialised():
        nn.Conv2d(3, 8, 3)
        nn.init.trunc_normal_(torch.empty(5), mean=1.0, a=0.5, b=1.5)
        nn.init.trunc_normal_(torch.empty(5), a=3.0, b=4.0)
    assert torch.equal(torch.get_rng_state(), before)
