"""Access to disks and networks: files, folders, locks, locations and downloads."""
