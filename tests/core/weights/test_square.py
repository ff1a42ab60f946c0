"""The square of weights: corners, mixtures and invalid amounts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.weights.catalogue import Square, read_square
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.core.weights.mixing.mixture import Mixture
from gramgan_cli.core.weights.mixing.square import automatic_style, chosen_model, position_of, square_model


@pytest.mark.parametrize(
    ("denoise", "style", "model"),
    [
        (0, 0, "clean"),
        (0, 1, "clean-gan"),
        (1, 0, "photo"),
        (1, 1, "photo-gan"),
        (0, 0.25, "clean+clean-gan@0.25"),
        (1, 0.7, "photo+photo-gan@0.7"),
        (0.5, 0.5, "clean+clean-gan@0.25+photo@0.25+photo-gan@0.25"),
    ],
)
def test_amounts_have_model_names(denoise: float, style: float, model: str) -> None:
    assert square_model(denoise, style) == model


AMOUNTS = [(0.0, 0.25), (1.0, 0.7), (0.5, 0.5), (0.3, 0.6), (0.8, 0.0), (0.33333, 0.71)]


@pytest.mark.parametrize(("denoise", "style"), AMOUNTS)
def test_a_mixture_gives_its_amounts(denoise: float, style: float) -> None:
    assert position_of(square_model(denoise, style)) == Square(denoise, style)


def test_the_order_of_a_mixture_does_not_matter() -> None:
    assert position_of("photo-gan+photo@0.25") == Square(1, 0.75)


@pytest.mark.parametrize("model", ["auto@1.2.3", "auto@--", "auto@2", "auto@-1", "auto@nan", "auto@"])
def test_a_wrong_style_of_the_automatic_model_is_named(model: str) -> None:
    with pytest.raises(UsageError, match=f"'{model}' has a style"):
        chosen_model(model)


def test_the_automatic_model_has_one_name() -> None:
    assert chosen_model("auto@1.0") == chosen_model("auto@1") == chosen_model(denoise="auto", style=1.0)


@pytest.mark.parametrize("amount", [-0.1, 2, "0.5", float("nan")])
def test_amounts_out_of_range_are_named(amount: Any) -> None:
    with pytest.raises(UsageError, match="`denoise` is "):
        chosen_model(denoise=amount)
    with pytest.raises(UsageError, match="`style` is "):
        chosen_model(style=amount)


@pytest.mark.parametrize("model", ["clean-gan", "photo-gan"])
def test_a_gan_model_is_one_of_those_that_are_mixed(model: str) -> None:
    with pytest.raises(UsageError, match=f"`model` {model} is one of the models that `denoise` and `style` mix"):
        chosen_model(model, style=0.5)


def test_other_models_have_no_amounts() -> None:
    for model in ("bicubic", "a+b@0.5", "clean+photo-gan@0.5", "auto@1"):
        assert position_of(model) is None


@pytest.mark.parametrize(
    ("model", "denoise", "style"), [("clean", 0, 0), ("clean-gan", 0, 1), ("photo", 1, 0), ("photo-gan", 1, 1)]
)
def test_corners_give_their_amounts(model: str, denoise: float, style: float) -> None:
    assert position_of(model) == Square(denoise, style)


def test_amounts_give_the_bilinear_mixture_of_the_corners() -> None:
    d, s = 0.3, 0.6
    corners = ("clean", "clean-gan", "photo", "photo-gan")
    tensors = [load_model(name).network.state_dict() for name in corners]
    shares = ((1 - d) * (1 - s), (1 - d) * s, d * (1 - s), d * s)
    for name, found in load_model(square_model(d, s)).network.state_dict().items():
        expected = sum(share * one[name].double().numpy() for share, one in zip(shares, tensors, strict=True))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-7)


def test_a_mixture_reads_what_it_writes() -> None:
    mixture = Mixture.parse("a+b@0.2+c@0.5")
    assert mixture is not None
    assert mixture.shares == pytest.approx({"a": 0.3, "b": 0.2, "c": 0.5})
    assert str(mixture) == "a+b@0.2+c@0.5"
    assert Mixture.parse("clean") is None
    for wrong in ("a+b@0.6+c@0.5", "a+a@0.5", "a+b@0.1+b@0.2", "a+b@x"):
        with pytest.raises(UsageError):
            Mixture.parse(wrong)


def test_defaults_are_the_catalogues_amounts() -> None:
    usual = read_square()
    assert chosen_model() == square_model(usual.denoise, usual.style)
    assert chosen_model(style=0.5) == square_model(usual.denoise, 0.5)
    assert chosen_model(denoise=0.0) == square_model(0.0, usual.style)
    assert chosen_model("bicubic") == "bicubic"
    assert automatic_style(chosen_model(denoise="auto")) == usual.style
    assert automatic_style(chosen_model(denoise="auto", style=0.3)) == 0.3
    assert automatic_style("photo") is None
    assert chosen_model("photo", style=0.5) == "photo+photo-gan@0.5"
    assert chosen_model("clean", style=0.5) == "clean+clean-gan@0.5"


@pytest.mark.parametrize(
    ("model", "denoise", "style"), [("bicubic", None, 0.5), ("clean-gan", 0.5, None), ("photo", 0.5, None)]
)
def test_other_models_take_no_amounts(model: str, denoise: float | None, style: float | None) -> None:
    with pytest.raises(UsageError):
        chosen_model(model, denoise, style)


def test_the_command_takes_amounts(tmp_path: Path) -> None:
    photo = tmp_path / "cat.png"
    Image.fromarray(data.chelsea()[:20, :24]).save(photo)
    done = CliRunner().invoke(app, ["upscale", str(photo), "--denoise", "0", "--style", "0.5", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["model"]["name"] == "clean+clean-gan@0.5"
    for words in (["--model", "bicubic", "--style", "0.5"], ["--ref", str(photo), "--denoise", "0.5"]):
        refused = CliRunner().invoke(app, ["upscale", str(photo), "--overwrite", *words])
        assert isinstance(refused.exception, UsageError)
