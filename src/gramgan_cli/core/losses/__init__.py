"""Losses, one file per family. Each is a pure function of tensors that returns a scalar."""
