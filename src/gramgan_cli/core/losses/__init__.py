"""Losses, one file per family: pure functions of tensors that give a scalar."""
