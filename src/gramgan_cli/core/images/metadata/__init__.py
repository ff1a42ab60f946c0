"""Metadata of image files: EXIF, TIFF directories, XMP, colour profiles, orientation."""
