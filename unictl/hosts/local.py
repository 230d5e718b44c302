"""This very machine as a host: the host side is a child process, spoken to like any other."""


def argv(words: tuple[str, ...]) -> tuple[str, ...]:
    """The command line as it is."""
    return words


def explain(code: int, said: str) -> tuple[str, str]:
    """What an early end means."""
    if "sudo:" in said and code == 1:
        return (
            "sudo asks for a password",
            "allow `sudo -n` for this user on the host (NOPASSWD), or take `become: true` off it",
        )
    return "", ""
