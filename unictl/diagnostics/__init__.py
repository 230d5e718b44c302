"""Problems found in the fleet files, and failures with an exit code. Pure; imports nothing else of unictl."""
