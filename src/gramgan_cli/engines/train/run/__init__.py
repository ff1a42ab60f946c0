"""What a training run leaves behind: folder, state, record, curves."""
