"""Data for training and measuring: LR pictures, downloads, texture banks and masks."""
