"""The work behind the commands: training, upscaling, measuring, models and data."""
