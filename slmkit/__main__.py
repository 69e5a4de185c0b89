"""`python -m slmkit`: the command `slmkit`."""

from slmkit.cli.main import main

main()
