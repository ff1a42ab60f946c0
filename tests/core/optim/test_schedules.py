"""Rates at the key steps of the schedules, and the moving average against an explicit sum."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gramgan_cli.core.optim.ema import update_ema
from gramgan_cli.core.optim.schedules import stepped, warmup_cosine


def test_corners_of_the_gramgan_schedule() -> None:
    warmup, period = 1_000, 200_000
    assert warmup_cosine(0, warmup, period) == pytest.approx(1 / 1_000)
    assert warmup_cosine(499, warmup, period) == pytest.approx(0.5)
    assert warmup_cosine(999, warmup, period) == 1
    assert warmup_cosine(1_000, warmup, period) == 1
    assert warmup_cosine(1_000 + 199_000 // 2, warmup, period) == pytest.approx(0.5, abs=1e-9)
    assert 0 < warmup_cosine(199_999, warmup, period) < 1e-9
    for step in (0, 700, 1_000, 150_000):
        assert warmup_cosine(step + 2 * period, warmup, period) == warmup_cosine(step, warmup, period)


def test_cosine_against_the_formula() -> None:
    for step in range(0, 90):
        expected = 0.5 * (1 + math.cos(step * math.pi / 90))
        assert warmup_cosine(step + 10, 10, 100) == pytest.approx(expected, abs=1e-12)


def test_steps_fall_at_their_milestones() -> None:
    shares = [stepped(step, 2, (4, 6), 0.1) for step in range(8)]
    assert shares == pytest.approx([0.5, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_average_equals_the_weighted_sum() -> None:
    torch.manual_seed(0)
    network, average = nn.Linear(2, 1, bias=False).double(), nn.Linear(2, 1, bias=False).double()
    values = torch.randn(6, 1, 2, dtype=torch.float64)
    expected = average.weight.detach().clone()
    for step, value in enumerate(values):
        network.weight.data.copy_(value)
        update_ema(average, network, 0.3, step)
        decay = min(0.3, (step + 1) / (step + 10))
        expected = decay * expected + (1 - decay) * value
    assert torch.allclose(average.weight, expected, atol=1e-12)
