"""Create a fleet from a playbook, and write its lock file."""
