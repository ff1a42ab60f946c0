"""Training: setup, the loop, the steps and the files of a run."""
