"""Web interface for one local user, served on this computer."""
