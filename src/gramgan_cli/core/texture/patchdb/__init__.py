"""The bank of real texture patches, and the exact search for the patch whose Gram matrix fits best."""
