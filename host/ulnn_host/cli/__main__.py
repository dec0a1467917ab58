"""`python -m ulnn_host.cli` is `ulnn`."""

from .main import main

main()
