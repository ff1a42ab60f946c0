"""The page in the browser: one user, on this computer, over the package's own upscaling."""
