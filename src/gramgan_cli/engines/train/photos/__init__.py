"""Training and validation photos of a run, and the sampler of crops."""
