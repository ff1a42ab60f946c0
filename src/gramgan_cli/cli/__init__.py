"""The command line: parse, call a function of ``api``, print. Functions are imported inside the command bodies."""
