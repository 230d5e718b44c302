"""The command line: parsing, one function per command, exit codes."""
