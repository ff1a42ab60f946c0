"""The processes of one training run."""
