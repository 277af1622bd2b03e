"""``python -m mcnb``: the command."""

from mcnb.cli import main

main()
