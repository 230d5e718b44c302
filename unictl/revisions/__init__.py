"""Trees of files: the working tree or a git revision. Door to gitpython."""
