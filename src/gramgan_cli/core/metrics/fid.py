"""FID, the Fréchet Inception Distance between two sets of pictures (Heusel et al., NeurIPS 2017)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gramgan_cli.core.archs.initialise import Uninitialised
from gramgan_cli.core.errors import GramganError, MissingExtra
from gramgan_cli.core.feature_weights import cached_file, published_weights

INCEPTION = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
"""The network of the TensorFlow code that the paper published, converted by torch-fidelity (Apache-2.0)."""

FEATURES = 2048
"""Features of a picture. The covariance of this many pictures, or fewer, is singular."""

Rows = NDArray[np.float32]


class Inception:
    """The features that FID compares, by torch-fidelity's network.

    Args:
        device: where it runs.

    Raises:
        GramganError: the package torch-fidelity or the weights are missing, or the weights are damaged.
    """

    convention = (
        "Inception v3 of the TensorFlow code, whole images reduced to 299x299 as in TensorFlow 1 (torch-fidelity), "
        "8-bit RGB; one number for the whole set, 0 means identical"
    )

    def __init__(self, device: torch.device) -> None:
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise MissingExtra("FID needs the package torch-fidelity.", "metrics") from error
        published_weights(INCEPTION, "Inception v3")  # fetched if need be, and sure to hold tensors only
        file = cached_file(Path(INCEPTION).name)
        try:
            with Uninitialised():
                network: Any = FeatureExtractorInceptionV3("inception-v3-compat", [str(FEATURES)], str(file))
        except RuntimeError as error:
            raise GramganError(
                f"{file} does not contain the weights of Inception v3.", "Delete it and try again."
            ) from error
        self.network = network.to(device)
        self.device = device

    def features(self, image: NDArray[np.uint8]) -> Rows:
        """The features of a picture.

        Args:
            image: (H, W, 3), of any size.

        Returns:
            (2048,).
        """
        batch = torch.from_numpy(np.array(image)).to(self.device).permute(2, 0, 1)[None]
        with torch.inference_mode():
            found: Rows = self.network(batch)[0][0].cpu().numpy()
        return found


def frechet_distance(first: Rows, second: Rows) -> float:
    """Squared Fréchet distance between the Gaussians fitted to two sets of features (equation 6 of the paper).

    |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)), with means m and sample covariances C in double precision.

    Args:
        first: a row of features for each picture, (N, D).
        second: (M, D).

    Returns:
        The distance, 0 for equal sets; NaN if a set has fewer than two pictures.
    """
    if min(len(first), len(second)) < 2:
        return float("nan")
    rows = [one.astype(np.float64) for one in (first, second)]
    apart = rows[0].mean(0) - rows[1].mean(0)
    # With C = R^T R, the trace of the root is the sum of the singular values of R1 R2^T, even if C is singular.
    one, other = (np.linalg.qr(each - each.mean(0), mode="r") / np.sqrt(len(each) - 1) for each in rows)
    common = np.linalg.svd(one @ other.T, compute_uv=False).sum()
    return float(apart @ apart + (one**2).sum() + (other**2).sum() - 2 * common)
