"""Cutting a picture into tiles and putting the results together."""
