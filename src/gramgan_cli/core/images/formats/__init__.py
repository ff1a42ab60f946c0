"""Readers and writers, one file per image format."""
