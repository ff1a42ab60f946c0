"""Colour models that no network knows (CMYK, Lab) to sRGB."""

from __future__ import annotations

import io

from PIL import Image, ImageCms


def srgb_profile() -> bytes:
    """An ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """A CMYK or Lab image as RGB in sRGB: through its own profile where it has a usable one, else by formula.

    Lab's profile is the colour space itself (D50). CMYK without profile: R = 255 - C - K, clipped.
    """
    target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")) if image.mode == "LAB" else _profile(icc)
    if source is not None:
        try:
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except ImageCms.PyCMSError:
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def _profile(icc: bytes | None) -> ImageCms.ImageCmsProfile | None:
    """The profile, if it is one."""
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(icc)) if icc else None
    except OSError:
        return None
