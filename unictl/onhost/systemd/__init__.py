"""systemd as supervisor: its units, their text, their files, and readiness notification."""
