"""The public Python API: the same engines as the commands, without printing, exit codes and signal handlers."""
