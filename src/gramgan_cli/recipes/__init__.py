"""Training recipes: frozen dataclasses that hold all defaults, read from TOML."""
