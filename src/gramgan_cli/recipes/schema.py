"""What a training run is made of. Every default stands here, once; a recipe file states what differs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from gramgan_cli.core.data.damage.strength import BEST_QUALITY, Degradation


@dataclass(frozen=True)
class Data:
    """Where the crops come from and how large they are."""

    hr_dir: tuple[str, ...] = ()
    """Folders of HR photos, lists of them, or tar shards; empty in a recipe, filled in by the run."""
    lr_dir: tuple[str, ...] = ()
    """Folders of given LR, one for each of ``hr_dir``; empty: LR is made from HR."""
    weights: tuple[float, ...] = ()
    """Share of the crops that each of ``hr_dir`` gives, in any unit; empty: by the area of their photos."""
    valid_dir: str = ""
    """Folder of held-out HR photos; empty: some of ``hr_dir`` are held out."""
    valid_lr_dir: str = ""
    """Folder of the given LR of ``valid_dir``; empty: LR is made."""
    valid_crop: int = 0
    """Side of the middle crop that is measured of each validation photo, in HR pixels; 0 is the whole photo."""
    hr_crop: int = 192
    """Side of the HR crops, a multiple of the scale."""
    flips: Literal["turns", "horizontal", "none"] = "turns"
    """How crops are varied: flips and quarter turns, mirrored left to right only, or not at all."""
    rotation: float = 0.0
    """Degrees, at most, by which crops are rotated either way; above 0 HR is interpolated and so softer."""
    references: Literal["none", "crops", "folder"] = "none"
    """Networks that take a reference: a second, altered crop of the same photo, or a photo of ``ref_dir``."""
    ref_dir: str = ""
    """Folder of reference photos: same stem as the photo's, or ``*_ref`` for ``*_in``."""
    window: int = 64
    """Tar shards only: photos in memory at once, from which the steps draw; larger mixes better."""
    crops_per_photo: int = 16
    """Tar shards only: crops drawn of each photo, on average, before the window moves on."""


@dataclass(frozen=True)
class Loss:
    """Weights of the generator's loss terms; 0 leaves a term out."""

    content: float = 1.0
    """Pixel distance of SR and HR."""
    content_distance: Literal["l1", "mse", "charbonnier"] = "l1"
    """Which pixel distance."""
    content_range: Literal["unit", "signed"] = "unit"
    """Values in which it is taken: [0, 1], or [-1, 1], in which L1 is twice and MSE four times as large."""
    ssim: float = 0.0
    """1 - SSIM (``core/losses/optional/structure.py``)."""
    ms_ssim: float = 0.0
    """1 - SSIM over five scales; crops of 176 pixels at least."""
    wavelet: float = 0.0
    """Distance of SR's and HR's wavelet details (``core/losses/optional/wavelet.py``)."""
    artifacts: float = 0.0
    """Pixel distance where artifacts are likely (LDL, ``core/losses/optional/artifacts.py``)."""
    dists: float = 0.0
    """DISTS over VGG16 of ``features.weights`` (``core/metrics/dists.py``); needs the extra ``metrics``."""
    frequency: float = 0.0
    """Distance of SR's and HR's spectra (``core/losses/frequency.py``)."""
    spectrum: float = 0.0
    """Distance of their power at each frequency, region by region (``core/losses/optional/spectrum.py``)."""
    colours: Literal["rgb", "ycbcr"] = "rgb"
    """What content and frequency compare: RGB, or luma and, fainter, the differences (``core/losses/colours.py``)."""
    perceptual: float = 0.0
    """Distance of network features of SR and HR (``features``)."""
    style: float = 0.0
    """Distance of the Gram matrices of network features of SR and HR (``features``)."""
    texture: float = 0.0
    """Distance of SR patches' Grams from the best-matching real patches' (``texture``; L_PT of docs/gramgan.md)."""
    discriminator: float = 0.0
    """Distance of the discriminator's features of SR and HR (L_DP of docs/gramgan.md)."""
    phase: float = 0.0
    """Fixed pattern of the sub-pixels (``core/losses/phase.py``): for networks that end in one PixelShuffle."""
    plain: float = 0.0
    """Pixel distance in HR's plain places (``core/losses/plain.py``), against ripples beside strong edges."""
    transferal: float = 0.0
    """Distance of SR's features from the textures that a reference lent (TTSR: Yang et al. 2020, section 3.3)."""
    adversarial: float = 0.0
    """Adversarial term."""
    sharpened: bool = False
    """Whether content, frequency and perceptual terms ask for sharpened HR (``core/losses/sharpen.py``)."""
    adversarial_form: Literal["ragan", "gan", "lsgan", "wgan", "wgan-gp"] = "ragan"
    """Which adversarial loss."""
    plugins: Mapping[str, float] = field(default_factory=dict)
    """Weights of plugins' terms by name (docs/extending.md)."""


OPEN_TABLES = ("loss.plugins",)
"""Tables of any names: settings add to them, and they may be empty."""

LOSS_TERMS = tuple(term.name for term in fields(Loss) if isinstance(term.default, float))
"""The generator's terms, as recipes and records name them."""


@dataclass(frozen=True)
class Optimizer:
    """Adam, and AdamW or Muon in its place where the recipe says so."""

    name: Literal["adam", "adamw", "muon"] = "adam"
    """The generator's. 'adamw' shrinks the weights apart from their gradients; 'muon' moves its convolutions, but that
    which sees the picture, by Muon, the rest by Adam."""
    rate: float = 2e-4
    """Base rate of the generator."""
    discriminator_rate: float = 1e-4
    """Base rate of the discriminator."""
    beta1: float = 0.9
    """Decay of the first moment."""
    beta2: float = 0.999
    """Decay of the second moment."""
    discriminator_beta1: float = 0.9
    """The discriminator's ``beta1``."""
    discriminator_beta2: float = 0.999
    """The discriminator's ``beta2``."""
    extractor_rate: float = 1e-5
    """Base rate of the texture extractor in networks that have one (TTSR)."""
    weight_decay: float = 0.0
    """AdamW only: share of the rate by which the generator's weights shrink at each step."""
    clip: float = 0.0
    """Largest norm of the generator's gradient; 0 does not clip."""
    accumulate: int = 1
    """Parts that a process's batch is worked through in, to save memory."""
    ema: float = 0.999
    """Decay of the averaged weights, which are the ones that are kept; 0 keeps the raw ones."""


@dataclass(frozen=True)
class Schedule:
    """Share of the base rate over the steps."""

    shape: Literal["cosine", "steps"] = "cosine"
    """Cosine with restarts, or a factor at milestones."""
    warmup: int = 0
    """Steps of linear warm-up, at the start of each period."""
    period: int = 0
    """Steps between restarts of the cosine; 0 is the whole stage."""
    milestones: tuple[int, ...] = ()
    """Steps at which the rate is multiplied by ``factor``."""
    factor: float = 0.1
    """See ``milestones``."""


@dataclass(frozen=True)
class Compute:
    """How the arithmetic is done."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """'auto' is bf16 on GPUs that have it and fp32 elsewhere. CPUs with AVX512-BF16 or AMX gain from bf16 too."""
    compile: bool = False
    """torch.compile the networks; needs a C++ compiler on the CPU and pays a warm-up."""
    threads: int = 0
    """CPU threads; 0 leaves torch's choice."""


@dataclass(frozen=True)
class Texture:
    """The texture loss's patches and candidates (docs/gramgan.md, "The match", "Which patches")."""

    db: str = ""
    """The bank's file; empty is the default one."""
    patches: str = "dense"
    """'center', 'dense', or 'random:K'; dense and centred by comparison (docs/gramgan.md)."""
    candidates: Literal["database", "image", "both"] = "database"
    """Where the real patches come from."""
    search: Literal["auto", "tree", "boxes", "faiss"] = "auto"
    """Which index finds the nearest candidate: a k-d tree or boxes (both exact; 'auto' takes the tree on the CPU and
    the boxes on GPUs), or FAISS on the CPU (exact, but approximate for banks from 10 million entries)."""
    patch_size: int = 4
    """Side of a patch; a database has one of its own."""
    centered: bool = True
    """Whether each patch's mean colour is removed before the Gram."""
    alpha: float = 0.5
    """Weight of the distance from the HR patch's Gram in the match."""
    beta: float = 0.5
    """Weight of the distance from the SR patch's Gram in the match."""


@dataclass(frozen=True)
class Mask:
    """Which parts of the picture the discriminator sees (docs/gramgan.md, "Masks")."""

    mode: Literal["none", "grid", "sliding"] = "none"
    """No mask, aligned cells, or Beby-GAN's sliding window."""
    cell: int = 11
    """Side of the cells in HR pixels."""
    delta: float = 0.0
    """Deviation from which a cell counts as textured, in [0, 1] values; 0: ``core.texture.masks.DELTA`` of the mode."""


@dataclass(frozen=True)
class Features:
    """The feature extractor of the perceptual term."""

    extractor: Literal["vgg16", "vgg19", "resnet18", "resnet34"] = "vgg19"
    """A torchvision network."""
    taps: Mapping[str, float] = field(default_factory=lambda: {"conv3_4": 0.125, "conv4_4": 0.25, "conv5_4": 0.5})
    """Layer -> weight."""
    activated: bool = False
    """Whether VGG taps lie after the activation."""
    distance: Literal["l1", "mse", "cosine", "lpips"] = "l1"
    """Which distance of features; 'cosine' compares the directions of each place's channels, 'lpips' weighs them
    as LPIPS does (extractor vgg16, after the activation; extra ``metrics``)."""
    imagenet_norm: bool = True
    """Whether the extractor sees pictures less ImageNet's mean, over its deviation, as it was trained; else [0, 1]."""
    weights: str = "imagenet"
    """torchvision's own ('imagenet'), 'random' (for trying and testing), or a .pth or .safetensors file."""
    jitter: int = 0
    """They are taken from a corner that changes from step to step within this many pixels; 0 from the first pixel."""
    normalise: bool = False
    """Divide each tap by its mean absolute value over crops of the training photos: files differ in scale."""


@dataclass(frozen=True)
class Discriminator:
    """The network that judges."""

    arch: Literal["none", "gramgan", "srgan", "esrgan", "ttsr", "unet"] = "none"
    """Which one; 'none' is content training."""
    nf: int = 0
    """Channels of its first convolution, which all others follow; 0 is the paper's."""
    input_range: Literal["unit", "signed", "imagenet"] = "unit"
    """Values that it sees: [0, 1], [-1, 1], or less ImageNet's mean, over its deviation."""
    jitter: int = 0
    """It looks from a corner that changes from step to step within this many pixels; 0 always from the first pixel."""


@dataclass(frozen=True)
class Limits:
    """Which numbers a key takes."""

    least: float
    most: float = math.inf
    included: bool = True
    """Whether ``most`` itself is one of them."""

    def __contains__(self, value: float) -> bool:
        return math.isfinite(value) and self.least <= value <= self.most and (self.included or value != self.most)

    def __str__(self) -> str:
        if math.isinf(self.most):
            return f"at least {self.least:g}"
        return f"from {self.least:g} to {'' if self.included else 'less than '}{self.most:.10g}"


_COUNT, _NOT_NEGATIVE, _SHARE, _DECAY = Limits(1), Limits(0), Limits(0, 1), Limits(0, 1, included=False)

LIMITS: dict[str, Limits] = {
    **dict.fromkeys(("steps", "batch_size", "valid_every", "save_every", "log_every"), _COUNT),
    **dict.fromkeys(("data.hr_crop", "data.window", "data.crops_per_photo", "optimizer.accumulate"), _COUNT),
    **dict.fromkeys(("texture.patch_size", "mask.cell"), _COUNT),
    **dict.fromkeys(("stage_steps", "compute.threads", "schedule.warmup", "schedule.period"), _NOT_NEGATIVE),
    **dict.fromkeys(("schedule.factor", "optimizer.clip", "optimizer.weight_decay", "mask.delta"), _NOT_NEGATIVE),
    **dict.fromkeys(
        ("texture.alpha", "texture.beta", "discriminator.nf", "discriminator.jitter", "features.jitter"), _NOT_NEGATIVE
    ),
    **dict.fromkeys((f"loss.{term}" for term in LOSS_TERMS), _NOT_NEGATIVE),
    **{f"optimizer.{rate}": _NOT_NEGATIVE for rate in ("rate", "discriminator_rate", "extractor_rate")},
    **{f"optimizer.{decay}": _DECAY for decay in ("beta1", "beta2", "ema")},
    **{f"optimizer.discriminator_{decay}": _DECAY for decay in ("beta1", "beta2")},
    **{f"degradation.{share}": _SHARE for share in ("share", "chance", "severity")},
    **{f"degradation.{strength}": _NOT_NEGATIVE for strength in ("blur", "noise")},
    "data.rotation": Limits(0, 45),
    **dict.fromkeys(("data.valid_crop", "epochs"), _NOT_NEGATIVE),
    "degradation.shrink": Limits(0.05, 1),
    "degradation.quality": Limits(1, BEST_QUALITY),
    "seed": Limits(0, 2**32 - 1),
}
"""Numbers that the keys take; all others are refused."""


@dataclass(frozen=True)
class Recipe:
    """One training stage, whole."""

    name: str = "custom"
    """Its name in lists."""
    summary: str = ""
    """One line: what it trains."""
    source: str = ""
    """Where it comes from."""
    stage: str = ""
    """Recipe whose weights this one starts from, trained first where none are at hand; empty starts from random."""
    stage_steps: int = 0
    """Steps of that first stage; 0 takes as many as its recipe says."""
    init: str = ""
    """Weights to start from: a name in the store, a file, 'none' for random, 'first stage' for its end; empty follows
    ``stage``."""
    steps: int = 500_000
    """Steps of this stage."""
    epochs: float = 0.0
    """Passes over the photos in place of ``steps``, one crop of each photo in a pass; 0: ``steps`` holds."""
    batch_size: int = 16
    """Crops per step, over all processes."""
    seed: int = 0
    """Of initialisation, crops and patches."""
    valid_every: int = 5_000
    """Steps between validations."""
    valid_loss: bool = False
    """Whether the generator's own loss is measured on the validation photos too, and the weights kept where it is
    lowest (``best_loss``)."""
    save_every: int = 1_000
    """Steps between saved states."""
    log_every: int = 100
    """Steps between rows of metrics."""
    network: Mapping[str, Any] = field(default_factory=lambda: {"arch": "rrdbnet"})
    """``arch`` and its hyperparameters."""
    data: Data = field(default_factory=Data)
    degradation: Degradation = field(default_factory=Degradation)
    loss: Loss = field(default_factory=Loss)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    compute: Compute = field(default_factory=Compute)
    discriminator: Discriminator = field(default_factory=Discriminator)
    features: Features = field(default_factory=Features)
    texture: Texture = field(default_factory=Texture)
    mask: Mask = field(default_factory=Mask)
