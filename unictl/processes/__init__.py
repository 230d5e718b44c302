"""The one way to run a command. Door to subprocess."""
