"""Problems with a place in a file, and failures with an exit code. Pure; imports nothing of unictl."""
