"""This machine as a host: the host side is a child process, with the same conversation as any other host."""

import re

from unictl.hosts import disconnect

_ALLOW_SUDO_HINT = "allow `sudo -n` for this user on the host (NOPASSWD), or take `become: true` off it"
_SUDO_MESSAGES = (
    (
        r"sudo: (?:sorry, )?(?:a password is required|a terminal is required)",
        "sudo asks for a password",
        _ALLOW_SUDO_HINT,
    ),
    (
        r"sudo: sorry, you must have a tty",
        "sudo wants a terminal there, by requiretty",
        "put `Defaults:USER !requiretty` into the sudoers there, or take `become: true` off it",
    ),
    (
        r"is not in the sudoers file|is not allowed to (?:run sudo|execute)|may not run sudo",
        "sudo does not allow it to this user",
        _ALLOW_SUDO_HINT,
    ),
    (
        # Of the words of env only these are the same in every language.
        r"env: (?:can't execute )?\W?sudo\W?: ",
        "there is no sudo on it",
        "install sudo there, or log in as root and take `become: true` off it",
    ),
    (
        r"account validation failure|[Aa]ccount expired|PAM account management error",
        "sudo takes this user's account for locked or expired",
        "have the account unlocked there, or name another user in `connect:`",
    ),
    (
        r"(?m)^sudo: (?!unable to resolve host)(?P<words>.*)$",
        "sudo fails there",
        "see with `sudo -n true` there by hand what it lacks, or take `become: true` off it",
    ),
)


def command_line(words: tuple[str, ...]) -> tuple[str, ...]:
    """The command line as it is."""
    return words


def explain_exit(code: int, stderr: str) -> tuple[str, str]:
    """What an early end means, and the next step; empty where that is not known."""
    for pattern, reason, hint in _SUDO_MESSAGES if code in (1, 127) else ():
        if match := re.search(pattern, stderr):
            words = disconnect.last_line(match.groupdict().get("words") or "")
            return f'{reason}: "{words}"' if words else reason, hint
    return "", ""
