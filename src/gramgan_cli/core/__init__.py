"""What every subcommand shares: networks, losses, data, images, weights. Takes plain values and tensors."""
