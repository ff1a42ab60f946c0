"""Upscaling photos on one machine: the plan, the session with model and device, the pipeline."""
