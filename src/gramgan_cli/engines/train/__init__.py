"""Training: the loop, what it starts from, what it saves."""
