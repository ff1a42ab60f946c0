"""Building blocks shared by all commands: networks, losses, data, images and weights."""
