"""Degradation of training LR: its strength, and two models of it."""
