"""Arguments -> one operation -> a view -> an exit code. Door to click and to the environment."""
