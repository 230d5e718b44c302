"""Secret values from the environment, files and commands; they redact themselves when printed."""
