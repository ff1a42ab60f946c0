"""The recipe of a training run, with all defaults; a recipe file sets only what differs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from gramgan_cli.core.data.damage.strength import BEST_QUALITY, Degradation


@dataclass(frozen=True)
class Data:
    """Photos, crops and augmentation."""

    hr_dir: tuple[str, ...] = ()
    """Folders of HR photos, file lists or tar shards. Empty in recipe files; set by the run."""
    lr_dir: tuple[str, ...] = ()
    """Folders of given LR, one per entry of ``hr_dir``; empty means that LR is made from HR."""
    weights: tuple[float, ...] = ()
    """Relative share of the crops per entry of ``hr_dir``; empty means by the area of their photos."""
    valid_dir: str = ""
    """Folder of HR photos for validation; empty means that some of ``hr_dir`` are held out."""
    valid_lr_dir: str = ""
    """Folder of the given LR of ``valid_dir``; empty means that LR is made from HR."""
    valid_crop: int = 0
    """Side of the centre crop measured in validation, in HR px; 0 measures the whole photo."""
    hr_crop: int = 192
    """Side of the HR crops in px, a multiple of the scale."""
    flips: Literal["turns", "horizontal", "none"] = "turns"
    """Augmentation: 'turns' is flips and quarter turns, 'horizontal' is left-right flips only."""
    rotation: float = 0.0
    """Largest random rotation of the crops, in degrees. Above 0, HR is interpolated and thus softer."""
    references: Literal["none", "crops", "folder"] = "none"
    """Source of references: a second, altered crop of the same photo, or a photo of ``ref_dir``."""
    ref_dir: str = ""
    """Folder of reference photos, with the photo's stem, or ``*_ref`` for ``*_in``."""
    window: int = 64
    """Tar shards only: number of photos in memory from which crops are drawn; larger values mix better."""
    crops_per_photo: int = 16
    """Tar shards only: mean number of crops drawn per photo before the window moves on."""


@dataclass(frozen=True)
class Loss:
    """Weights of the generator's loss terms (0 turns a term off) and their settings."""

    content: float = 1.0
    """Weight of the pixel loss."""
    content_distance: Literal["l1", "mse", "charbonnier"] = "l1"
    """Distance of the pixel loss."""
    content_range: Literal["unit", "signed"] = "unit"
    """Value range of the pixel loss: [0, 1], or [-1, 1], where L1 is twice and MSE four times as large."""
    ssim: float = 0.0
    """Weight of 1 - SSIM (``core/losses/optional/structure.py``)."""
    ms_ssim: float = 0.0
    """Weight of 1 - MS-SSIM over five scales; needs crops of at least 176 px."""
    wavelet: float = 0.0
    """Weight of the wavelet detail loss (``core/losses/optional/wavelet.py``)."""
    artifacts: float = 0.0
    """Weight of the artifact loss (LDL, ``core/losses/optional/artifacts.py``)."""
    dists: float = 0.0
    """Weight of DISTS, on VGG16 with ``features.weights`` (``core/metrics/dists.py``); needs the extra ``metrics``."""
    frequency: float = 0.0
    """Weight of the L1 loss between Fourier spectra (``core/losses/frequency.py``)."""
    spectrum: float = 0.0
    """Weight of the local power-spectrum loss (``core/losses/optional/spectrum.py``)."""
    excess: float = 0.0
    """Weight of the loss on local power above HR's, against lattices and dots; needs crops of at least 56 px."""
    means: float = 0.0
    """Weight of the L1 loss between mean colours of 8 x 8 px, against tints (``core/losses/optional/means.py``)."""
    colours: Literal["rgb", "ycbcr"] = "rgb"
    """Colour space of the content and frequency losses: RGB, or luma and down-weighted colour differences
    (``core/losses/colours.py``)."""
    perceptual: float = 0.0
    """Weight of the perceptual loss (``features``)."""
    style: float = 0.0
    """Weight of the style loss, between Gram matrices of features (``features``)."""
    texture: float = 0.0
    """Weight of the patch texture loss, between Gram matrices of patches (``texture``; L_PT of docs/gramgan.md)."""
    discriminator: float = 0.0
    """Weight of the discriminator perceptual loss (L_DP of docs/gramgan.md)."""
    phase: float = 0.0
    """Weight of the loss against sub-pixel patterns (``core/losses/phase.py``), for networks that end in one
    PixelShuffle."""
    plain: float = 0.0
    """Weight of the pixel loss in HR's flat regions (``core/losses/plain.py``), against ringing at strong edges."""
    transferal: float = 0.0
    """Weight of the transferal perceptual loss (TTSR: Yang et al. 2020, section 3.3)."""
    adversarial: float = 0.0
    """Weight of the adversarial loss."""
    sharpened: bool = False
    """Whether the target of the content, frequency, dists and perceptual losses is sharpened HR
    (``core/losses/sharpen.py``)."""
    adversarial_form: Literal["ragan", "rpgan", "gan", "lsgan", "wgan", "wgan-gp"] = "ragan"
    """Form of the adversarial loss. 'rpgan' compares the logits of HR and SR of the same LR, pair by pair."""
    plugins: Mapping[str, float] = field(default_factory=dict)
    """Weights of plugin losses, by name (docs/extending.md)."""


OPEN_TABLES = ("loss.plugins",)
"""Tables with free keys. Settings add to them, and they may be empty."""

LOSS_TERMS = tuple(term.name for term in fields(Loss) if isinstance(term.default, float))
"""Names of the generator's loss terms in recipes and training records."""


@dataclass(frozen=True)
class Optimizer:
    """Optimisers, learning rates and weight averaging."""

    name: Literal["adam", "adamw", "muon"] = "adam"
    """The generator's optimiser. 'adamw' has decoupled weight decay; 'muon' trains the convolutions with Muon, except
    those that take the picture, and the rest with Adam."""
    rate: float = 2e-4
    """Base learning rate of the generator."""
    discriminator_rate: float = 1e-4
    """Base learning rate of the discriminator."""
    beta1: float = 0.9
    """Decay of Adam's first moment."""
    beta2: float = 0.999
    """Decay of Adam's second moment."""
    discriminator_beta1: float = 0.9
    """The discriminator's ``beta1``."""
    discriminator_beta2: float = 0.999
    """The discriminator's ``beta2``."""
    extractor_rate: float = 1e-5
    """Base learning rate of the texture extractor (TTSR only)."""
    weight_decay: float = 0.0
    """Weight decay of AdamW, a factor on the learning rate."""
    clip: float = 0.0
    """Norm to which the generator's gradient is clipped; 0 turns clipping off."""
    accumulate: int = 1
    """Gradient accumulation: number of parts of each process's batch, to save memory."""
    ema: float = 0.999
    """Decay of the averaged weights (EMA), which are the ones saved; 0 saves the raw weights."""


@dataclass(frozen=True)
class Schedule:
    """Learning rate schedule."""

    shape: Literal["cosine", "steps"] = "cosine"
    """Cosine with restarts, or steps at milestones."""
    warmup: int = 0
    """Steps of linear warm-up at the start of each period."""
    period: int = 0
    """Steps between restarts of the cosine; 0 means the whole stage."""
    milestones: tuple[int, ...] = ()
    """Steps at which the rate is multiplied by ``factor``."""
    factor: float = 0.1
    """Factor on the rate at each of ``milestones``."""


@dataclass(frozen=True)
class Compute:
    """Precision, compilation and threads."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """'auto' is bf16 on GPUs that support it, else fp32. bf16 is also faster on CPUs with AVX512-BF16 or AMX."""
    compile: bool = False
    """Whether to torch.compile the networks. Needs a C++ compiler on the CPU; the first steps are slow."""
    threads: int = 0
    """Number of CPU threads; 0 is torch's default."""


@dataclass(frozen=True)
class Texture:
    """Patches and candidates of the texture loss (docs/gramgan.md, "The match", "Which patches")."""

    db: str = ""
    """File of the texture bank; empty means the default bank."""
    patches: str = "dense"
    """Positions of the patches: 'center', 'dense' or 'random:K'. docs/gramgan.md has the comparison behind 'dense'."""
    candidates: Literal["database", "image", "both"] = "database"
    """Source of the real patches: the bank, the HR image or both."""
    search: Literal["auto", "tree", "boxes", "faiss"] = "auto"
    """Index for the nearest candidate: a k-d tree or boxes (both exact; 'auto' is the tree on the CPU and boxes on
    GPUs), or FAISS on the CPU (exact up to 10 million entries, approximate from there)."""
    patch_size: int = 4
    """Side of a patch in px; must equal the bank's."""
    centered: bool = True
    """Whether each patch's mean colour is subtracted before its Gram matrix is computed."""
    alpha: float = 0.5
    """Weight in the match of the distance to the HR patch's Gram matrix."""
    beta: float = 0.5
    """Weight in the match of the distance to the SR patch's Gram matrix."""


@dataclass(frozen=True)
class Mask:
    """Mask of the discriminator's input (docs/gramgan.md, "Masks")."""

    mode: Literal["none", "grid", "sliding"] = "none"
    """No mask, a grid of cells, or Beby-GAN's sliding window."""
    cell: int = 11
    """Side of a cell or window in HR px."""
    delta: float = 0.0
    """Standard deviation, of values in [0, 1], from which a cell is textured; 0 means the mode's
    ``core.texture.masks.DELTA``."""


@dataclass(frozen=True)
class Features:
    """Feature extractor of the perceptual and style losses."""

    extractor: Literal["vgg16", "vgg19", "resnet18", "resnet34"] = "vgg19"
    """Torchvision network."""
    taps: Mapping[str, float] = field(default_factory=lambda: {"conv3_4": 0.125, "conv4_4": 0.25, "conv5_4": 0.5})
    """Layers and their weights."""
    activated: bool = False
    """Whether VGG features are taken after the ReLU."""
    distance: Literal["l1", "mse", "cosine", "lpips"] = "l1"
    """Distance of features. 'cosine' compares the directions of the channel vectors at each position; 'lpips' has
    LPIPS's channel weights (vgg16 after the ReLU; needs the extra ``metrics``)."""
    imagenet_norm: bool = True
    """Whether the extractor's input is normalised with ImageNet's mean and deviation, as in its training; else it is
    in [0, 1]."""
    weights: str = "imagenet"
    """Weights: 'imagenet' (torchvision's), 'random' (for tests), or a .pth or .safetensors file."""
    jitter: int = 0
    """Pixels by which the crop that the extractor sees is randomly offset and smaller; 0 turns this off."""
    normalise: bool = False
    """Whether to divide each tap by its mean absolute value over training crops, since weight files differ in scale."""


@dataclass(frozen=True)
class Discriminator:
    """The discriminator."""

    arch: Literal["none", "gramgan", "srgan", "esrgan", "ttsr", "unet", "detail"] = "none"
    """Architecture; 'none' trains without a discriminator. 'detail' also sees LR."""
    nf: int = 0
    """Channels of the first convolution, from which the other widths follow; 0 is the paper's value."""
    input_range: Literal["unit", "signed", "imagenet"] = "unit"
    """Value range of its input: [0, 1], [-1, 1], or normalised with ImageNet's mean and deviation."""
    jitter: int = 0
    """Pixels by which the crop that it sees is randomly offset and smaller; 0 turns this off."""
    penalty: float = 0.0
    """Weight of R1 + R2: half the squared gradient of the sum of the logits, divided by their number, at HR and at SR.
    It is computed every fourth step, with four times the weight."""


@dataclass(frozen=True)
class Limits:
    """Range of the numbers that a key takes."""

    least: float
    most: float = math.inf
    included: bool = True
    """Whether ``most`` itself is allowed."""

    def __contains__(self, value: float) -> bool:
        return math.isfinite(value) and self.least <= value <= self.most and (self.included or value != self.most)

    def __str__(self) -> str:
        if math.isinf(self.most):
            return f"at least {self.least:g}"
        if not self.included:
            return f"at least {self.least:g} and less than {self.most:.10g}"
        return f"from {self.least:g} to {self.most:.10g}"


_COUNT, _NOT_NEGATIVE, _SHARE, _DECAY = Limits(1), Limits(0), Limits(0, 1), Limits(0, 1, included=False)

LIMITS: dict[str, Limits] = {
    **dict.fromkeys(("steps", "batch_size", "valid_every", "save_every", "log_every"), _COUNT),
    **dict.fromkeys(("data.hr_crop", "data.window", "data.crops_per_photo", "optimizer.accumulate"), _COUNT),
    **dict.fromkeys(("texture.patch_size", "mask.cell"), _COUNT),
    **dict.fromkeys(("stage_steps", "compute.threads", "schedule.warmup", "schedule.period"), _NOT_NEGATIVE),
    **dict.fromkeys(("schedule.factor", "optimizer.clip", "optimizer.weight_decay", "mask.delta"), _NOT_NEGATIVE),
    **dict.fromkeys(
        (
            "texture.alpha",
            "texture.beta",
            "discriminator.nf",
            "discriminator.jitter",
            "discriminator.penalty",
            "features.jitter",
        ),
        _NOT_NEGATIVE,
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
"""Allowed range of each numeric key; other values raise UsageError."""


@dataclass(frozen=True)
class Recipe:
    """All settings of one training stage."""

    name: str = "custom"
    """Name of the recipe."""
    summary: str = ""
    """One line on what it trains."""
    source: str = ""
    """Paper or other source of the method."""
    stage: str = ""
    """Recipe of the first stage, whose weights this one starts from. It is trained first if the store has none; empty
    means random initial weights."""
    stage_steps: int = 0
    """Steps of the first stage; 0 means its recipe's steps."""
    init: str = ""
    """Initial weights: a name in the store, a file, 'none' (random) or 'first stage'; empty follows ``stage``."""
    steps: int = 500_000
    """Training steps."""
    epochs: float = 0.0
    """Passes over the photos, with one crop per photo, instead of ``steps``; 0 means that ``steps`` is used."""
    batch_size: int = 16
    """Crops per step, in total over all processes."""
    seed: int = 0
    """Seed of initial weights, crops and patches."""
    valid_every: int = 5_000
    """Steps between validations."""
    valid_loss: bool = False
    """Whether validation also measures the generator's loss and saves the weights with the lowest (``best_loss``)."""
    save_every: int = 1_000
    """Steps between saved states."""
    log_every: int = 100
    """Steps between rows of metrics."""
    network: Mapping[str, Any] = field(default_factory=lambda: {"arch": "rrdbnet"})
    """``arch`` and the network's hyperparameters."""
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
