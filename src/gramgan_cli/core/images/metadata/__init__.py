"""What a picture file says about itself: EXIF, TIFF directories, XMP, colour profiles, orientation."""
