"""Sessions: a model loaded on a device and backend."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from gramgan_cli.core.backends.choose import choose_backend
from gramgan_cli.core.backends.device import pick_device
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.images.result_mark import Mark
from gramgan_cli.core.metrics.damage import AUTOMATIC
from gramgan_cli.core.resize.baselines import BASELINES
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.automatic import automatic_header, automatic_sha256
from gramgan_cli.core.weights.embedded import RESTORE
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.core.weights.load import LoadedModel, load_model, weights_file
from gramgan_cli.core.weights.mixing.mixture import Mixture
from gramgan_cli.core.weights.mixing.square import automatic_style, cleaning_of, square_model
from gramgan_cli.engines.upscale.limits import tile_budget
from gramgan_cli.engines.upscale.options import REFERENCE_MODEL, TileChoice, UpscaleOptions
from gramgan_cli.engines.upscale.upscaler import AutomaticUpscaler, Interpolator, Restoration, Upscaler

Array = NDArray[Any]


class BandSource(Protocol):
    """An ``Upscaler``, an ``Interpolator``, a ``ReferenceUpscaler`` or an ``AutomaticUpscaler``."""

    scale: int
    on_note: Callable[[str], None]

    @property
    def smooths(self) -> bool:
        """Whether blocks of JPEG are smoothed before the network runs."""

    @property
    def tile(self) -> int:
        """Tile side in input pixels, 0 for the whole picture."""

    def bands(self, image: Array) -> Iterator[Array]:
        """Yield bands of finished rows, from top to bottom."""


@dataclass(frozen=True)
class Session:
    """A model loaded on a device and backend."""

    name: str
    """Name of the model."""
    device: str
    backend: str
    """Library that runs the network; empty for interpolations."""
    source: BandSource
    header: WeightsHeader | None
    """Header of the weights; None for interpolations."""
    sha256: str | None
    """SHA-256 of the weights file (with ``--denoise auto``: of all four); None for interpolations."""
    settings: str
    """``UpscaleOptions.described()``: JSON of the other options that affect results."""
    restoration: str | None = None
    """SHA-256 of the weights that clean photos before; None if the model doesn't clean them."""

    @property
    def scale(self) -> int:
        """Ratio of output to input side."""
        return self.source.scale

    def mark(self, input_sha256: str) -> Mark:
        """Mark of this session's result of the picture with this SHA-256."""
        cleaning = [self.restoration] if self.restoration else []
        facts = json.dumps([self.name, self.sha256, *cleaning, self.settings, input_sha256])
        return Mark(self.name, hashlib.sha256(facts.encode()).hexdigest()[:32])


def weights_content(model: str, loaded: LoadedModel) -> bytes:
    """Bytes of a loaded model's weights file; for a mixture, of the file that saving it would give."""
    if Mixture.parse(model) is None:
        return weights_file(model).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mixed.safetensors"
        save_weights(path, loaded.network.state_dict(), loaded.header)
        return path.read_bytes()


def weights_sha256(model: str, loaded: LoadedModel) -> str:
    """SHA-256 of ``weights_content``, in hexadecimal."""
    return hashlib.sha256(weights_content(model, loaded)).hexdigest()


def open_session(options: UpscaleOptions, on_note: Callable[[str], None] = lambda _text: None) -> Session:
    """Load the model of ``options``, or set up an interpolation, for its device and backend.

    Args:
        options: model, reference, device, backend, precision, tile, tta, seamless and max_memory are used.
        on_note: called with messages for the user, such as that the reference was reduced.

    Raises:
        GramganError: the model does not exist, or its backend is not installed.
        UsageError: options contradict the model or each other, or the device does not exist.
    """
    if options.reference is not None:
        return _open_with_reference(options, options.reference, on_note)
    if options.model in BASELINES:
        return _open_interpolation(options)
    style = automatic_style(options.model)
    if style is not None:
        return _open_automatic(options, style)
    return _open_model(options)


def _open_model(options: UpscaleOptions, cleaner: _Cleaner | None = None) -> Session:
    """Open one network. If it has a denoise amount, ``cleaner`` runs before it, which is opened if it is None."""
    loaded = load_model(options.model)
    if loaded.descriptor.needs_reference:
        raise UsageError(f"The model '{loaded.name}' needs a reference image.", "Pass one with `reference` PHOTO.")
    checksum = weights_sha256(options.model, loaded)
    strength = cleaning_of(options.model)
    restoration, cleaning = None, None
    if strength:
        network, cleaning = cleaner or _open_cleaner(options)
        restoration = Restoration(network, strength)
    upscaler, backend = _upscaler(loaded, options, options.tile, restoration)
    return Session(
        loaded.name, str(upscaler.device), backend, upscaler, loaded.header, checksum, options.described(), cleaning
    )


_Cleaner = tuple[Upscaler, str]
"""The network that cleans damaged photos, and the SHA-256 of its weights."""


def _open_cleaner(options: UpscaleOptions) -> _Cleaner:
    loaded = load_model(RESTORE)
    upscaler, _ = _upscaler(loaded, options, "auto")
    return upscaler, weights_sha256(RESTORE, loaded)


def _upscaler(
    loaded: LoadedModel,
    options: UpscaleOptions,
    tile: TileChoice,
    restoration: Restoration | None = None,
) -> tuple[Upscaler, str]:
    """Set up a network on its device and backend; return it with the backend's name."""
    chosen = choose_backend(options.backend, loaded, options.device, options.precision)
    limited = options.max_memory is not None and chosen.device.type == "cpu"
    upscaler = Upscaler(
        loaded,
        chosen.device,
        tile,
        options.precision,
        tta=options.tta,
        seamless=options.seamless,
        max_memory=tile_budget(options.max_memory or 0) if limited else None,
        converted=chosen.converted,
        restoration=restoration,
    )
    return upscaler, chosen.name


def _open_automatic(options: UpscaleOptions, style: float) -> Session:
    """Combine the embedded models into one that chooses the denoise amount for each photo."""
    cleaner = _open_cleaner(options)
    models = {amount: square_model(amount, style) for amount in AUTOMATIC}
    sessions = {amount: _open_model(replace(options, model=model), cleaner) for amount, model in models.items()}
    networks = {amount: session.source for amount, session in sessions.items() if isinstance(session.source, Upscaler)}
    header, checksum = automatic_header(style), automatic_sha256()
    source = AutomaticUpscaler(networks)
    return replace(sessions[AUTOMATIC[-1]], name=options.model, source=source, header=header, sha256=checksum)


def _open_interpolation(options: UpscaleOptions) -> Session:
    """Open an interpolation. Raises UsageError for options that only affect networks."""
    pick_device(options.device)
    if options.tta or options.precision != "auto":
        raise UsageError(
            f"{'`tta`' if options.tta else '`precision`'} has no effect on an interpolation.", "Leave it out."
        )
    if options.backend not in ("auto", "torch"):
        raise UsageError(
            f"'{options.model}' is an interpolation, which {options.backend} can't run.", "Leave out `backend`."
        )
    source = Interpolator(options.model, options.tile, options.seamless)
    return Session(options.model, "cpu", "", source, None, None, options.described())


def _open_with_reference(options: UpscaleOptions, reference: Path, on_note: Callable[[str], None]) -> Session:
    """Open a model that takes texture from a reference. Modules that only such models need are imported here."""
    from gramgan_cli.core.archs.ttsr import TTSR
    from gramgan_cli.core.data.datasets import read_picture
    from gramgan_cli.engines.upscale.reference import ReferenceUpscaler, reduce_reference

    if options.backend not in ("auto", "torch"):
        raise UsageError(
            f"`backend` {options.backend} does not support references.", "Leave out `backend`, or `reference`."
        )
    if options.model == REFERENCE_MODEL and store.find(options.model) is None:
        raise GramganError(
            f"There is no model '{options.model}', which `reference` uses.",
            f"Train it with: gramgan train --recipe ttsr-rec --out runs/{options.model}, or use another with `model`.",
        )
    loaded = load_model(options.model)
    if not isinstance(loaded.network, TTSR):
        raise UsageError(
            f"The model '{loaded.name}' takes no reference.",
            "Leave out `reference`, or choose a model that does with `model`.",
        )
    picture = reduce_reference(read_picture(reference), on_note)
    device = pick_device(options.device)
    upscaler = ReferenceUpscaler(
        loaded.network, loaded.descriptor, picture, device, options.tile, options.precision, options.tta,
        options.seamless,
    )  # fmt: skip
    checksum = weights_sha256(options.model, loaded)
    return Session(loaded.name, str(device), "torch", upscaler, loaded.header, checksum, options.described())
