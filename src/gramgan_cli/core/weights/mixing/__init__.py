"""Models between models: weighted sums, and the square of the embedded ones."""
