"""Damage of the LR that training sees: how strong, and two models of it."""
