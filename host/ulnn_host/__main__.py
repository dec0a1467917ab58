"""`python -m ulnn_host` is `ulnn`."""

from .cli.main import main

main()
