"""The bank of real texture patches, and the search for the patch with the most similar Gram matrix."""
