"""The command line: parse, call an engine, print. Engines are imported inside the command bodies."""
