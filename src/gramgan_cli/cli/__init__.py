"""The command line: parse options, call the Python API, print. Commands import what they need when they run."""
