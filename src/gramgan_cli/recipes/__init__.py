"""Training recipes: frozen dataclasses, read from TOML. Each default stands once."""
