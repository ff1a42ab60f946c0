"""Mixed models: weighted sums, and the square of embedded models."""
