"""``python -m gramgan_cli``, which is also what torchrun starts."""

from gramgan_cli.cli.app import main

if __name__ == "__main__":
    main()
