"""This very machine as a host: the host side is a child process, spoken to like any other."""

import re

_SUDO = (
    (
        r"sudo: (?:a password is required|a terminal is required|sorry, you must have a tty)",
        "sudo asks for a password",
        "allow `sudo -n` for this user on the host (NOPASSWD), or take `become: true` off it",
    ),
    (
        r"is not in the sudoers file|is not allowed to (?:run sudo|execute)|may not run sudo",
        "sudo does not allow it to this user",
        "allow `sudo -n` for this user on the host (NOPASSWD), or take `become: true` off it",
    ),
    (
        r"sudo: (?:command )?not found|sudo: inaccessible or not found|[Uu]nknown command:? '?sudo",
        "there is no sudo on it",
        "install sudo there, or log in as root and take `become: true` off it",
    ),
)


def argv(words: tuple[str, ...]) -> tuple[str, ...]:
    """The command line as it is."""
    return words


def explain(code: int, said: str) -> tuple[str, str]:
    """What an early end means, and the next step; empty where that is not known."""
    for pattern, why, hint in _SUDO if code in (1, 127) else ():
        if re.search(pattern, said):
            return why, hint
    return "", ""
