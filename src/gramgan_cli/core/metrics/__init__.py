"""How near a result is to its HR image: PSNR and SSIM in the convention of the papers' tables, and texture."""

from gramgan_cli.core.metrics.psnr import psnr_y
from gramgan_cli.core.metrics.ssim import ssim_y
from gramgan_cli.core.metrics.texture import gram_distance, spectrum_distance

__all__ = ["gram_distance", "psnr_y", "spectrum_distance", "ssim_y"]
