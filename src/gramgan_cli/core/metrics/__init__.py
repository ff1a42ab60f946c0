"""How near a result is to its HR image: PSNR and SSIM in the convention of the papers' tables."""

from gramgan_cli.core.metrics.psnr import psnr_y
from gramgan_cli.core.metrics.ssim import ssim_y

__all__ = ["psnr_y", "ssim_y"]
