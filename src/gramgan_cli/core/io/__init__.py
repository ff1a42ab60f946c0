"""Files, folders, locks, locations, downloads: everything that touches a disk or a network."""
