"""Quality metrics against an HR image: PSNR and SSIM on Y, RGB or one plane, and texture distances."""

from gramgan_cli.core.metrics.psnr import psnr_grey, psnr_plane, psnr_rgb, psnr_y
from gramgan_cli.core.metrics.ssim import ssim_grey, ssim_plane, ssim_rgb, ssim_y
from gramgan_cli.core.metrics.texture import gram_distance, spectrum_distance

__all__ = [
    "gram_distance",
    "psnr_grey",
    "psnr_plane",
    "psnr_rgb",
    "psnr_y",
    "spectrum_distance",
    "ssim_grey",
    "ssim_plane",
    "ssim_rgb",
    "ssim_y",
]
