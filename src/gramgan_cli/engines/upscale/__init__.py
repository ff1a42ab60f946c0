"""Upscaling photos on one computer: plan, session (model and device) and pipeline."""
