"""Download locations and terms of the benchmark sets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """A file to download."""

    url: str
    folder: str
    """Subfolder of the set's folder for its images."""
    sha256: str | None = None
    """Checksum of the publisher's file, if known."""


@dataclass(frozen=True)
class Source:
    """A set with its downloads, or with the reason why it has none."""

    name: str
    pictures: int
    licence: str
    """Licence terms in one sentence."""
    page: str
    """Home page of the set."""
    archives: tuple[Archive, ...]
    """Empty if there is no public download."""


def _hosted(name: str) -> tuple[Archive, ...]:
    base = f"https://huggingface.co/datasets/eugenesiow/{name}/resolve/main/data"
    return (Archive(f"{base}/{name}_HR.tar.gz", "HR"), Archive(f"{base}/{name}_LR_x4.tar.gz", "LR_x4"))


_DIV2K = "https://data.vision.ee.ethz.ch/cvl/DIV2K"

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "Set5",
            5,
            "No licence is stated; published with a research paper (Bevilacqua et al., BMVC 2012).",
            "https://huggingface.co/datasets/eugenesiow/Set5",
            _hosted("Set5"),
        ),
        Source(
            "Set14",
            14,
            "No licence is stated; published with a research paper (Zeyde et al., 2010).",
            "https://huggingface.co/datasets/eugenesiow/Set14",
            _hosted("Set14"),
        ),
        Source(
            "BSD100",
            100,
            "The Berkeley segmentation set's terms: non-commercial research and education only.",
            "https://huggingface.co/datasets/eugenesiow/BSD100",
            _hosted("BSD100"),
        ),
        Source(
            "Urban100",
            100,
            "Photos from Flickr under Creative Commons licences, gathered by Huang et al. (CVPR 2015); "
            "the set states no licence of its own.",
            "https://huggingface.co/datasets/eugenesiow/Urban100",
            _hosted("Urban100"),
        ),
        Source(
            "Manga109",
            109,
            "For academic use, on request; the drawings belong to their artists.",
            "http://www.manga109.org",
            (),
        ),
        Source(
            "CUFED5",
            126,
            "No licence is stated; published with a research paper (Zhang et al., CVPR 2019), references included.",
            "https://zzutk.github.io/SRNTT-Project-Page",
            (),
        ),
        Source(
            "DIV2K",
            900,
            "For academic research only; the photos belong to their owners (Agustsson and Timofte, 2017).",
            "https://data.vision.ee.ethz.ch/cvl/DIV2K/",
            (
                Archive(
                    f"{_DIV2K}/DIV2K_train_HR.zip",
                    "DIV2K_train_HR",
                    "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
                ),
                Archive(
                    f"{_DIV2K}/DIV2K_valid_HR.zip",
                    "DIV2K_valid_HR",
                    "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
                ),
            ),
        ),
    )
}
