"""Data for training and measuring: LR pictures, downloads, the bank, masks."""
