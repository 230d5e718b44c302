"""One module per guest family: identify, preflight, command line, how it ended. Pure."""
