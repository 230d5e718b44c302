"""File trees of a fleet: the working tree or a git revision. The only place that uses gitpython."""
