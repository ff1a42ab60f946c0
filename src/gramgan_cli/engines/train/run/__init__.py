"""Files of a training run: folder, state, training record, metrics."""
