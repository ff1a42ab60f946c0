"""The photos of a training run: which are trained on, which are measured on, and the sampler of crops."""
