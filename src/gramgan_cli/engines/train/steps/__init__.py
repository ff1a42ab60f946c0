"""Training steps and their loss terms."""
