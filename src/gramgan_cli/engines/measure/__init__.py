"""Measuring and comparing models: bench, compare and plot."""
