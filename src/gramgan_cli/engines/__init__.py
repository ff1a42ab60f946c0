"""The work behind the commands: train, upscale, bench, prepare."""
