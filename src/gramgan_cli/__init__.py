"""gramgan: photographs four times larger, and the training, measuring and comparing of the networks that do it."""

from importlib.metadata import version

__version__ = version("gramgan-cli")
