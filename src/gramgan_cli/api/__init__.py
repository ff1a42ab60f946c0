"""The public Python functions: the same engines as the commands, without printing, exit codes and signals."""
