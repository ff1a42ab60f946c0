"""``python -m gramgan_cli``, also the entry point for torchrun."""

from gramgan_cli.cli.app import main

if __name__ == "__main__":
    main()
