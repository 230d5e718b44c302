"""Explains the end of a conversation: a sentence and a next step, derived from what the other side printed. No
I/O.
"""

import re
from collections.abc import Callable

from unictl.diagnostics.failure import Unreachable
from unictl.hosts import bootstrap

Explain = Callable[[int, str], tuple[str, str]]
"""The exit code and what was said -> a sentence and a next step; empty where they are not known."""

LONGEST = 160
"""Characters of another side's words that go into a sentence."""
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")

_LOGIN = (
    (
        r"[Aa]ccount (?:has |is )?(?:expired|locked)|[Aa]ccount [Ee]xpired",
        "its user's account has expired there",
        "have it extended there (`chage -E`), or name another user in `connect:`",
    ),
    (
        r"System is (?:going down|booting up)|not permitted to log in (?:yet|anymore)",
        "it lets nobody log in just now: it is starting or going down",
        "wait, and run the same command again; /etc/nologin or /run/nologin there keeps all but root out",
    ),
    (
        r"[Pp]assword has expired|Password change required|required to change your password",
        "its user must change the password there first",
        "log in once by hand with `ssh` and change it, or have its age lifted there (`chage`)",
    ),
    (
        r"[Tt]his account is (?:currently )?not available",
        "its user's login shell, nologin, lets nobody in",
        "give the user a shell there (`usermod -s /bin/sh`), or name another user in `connect:`",
    ),
)
_ELSE = (
    "`ssh` by hand shows what runs there in its place: "
    "a login shell that lets nobody in, an rc file that ends it, ForceCommand in its sshd_config or key"
)
CUT = ("the connection was cut", "run the same command again")
_OF_SSH = re.compile(r"Connection |Shared connection|Timeout, server|Warning: Permanently|client_loop: |\*\* ")
"""How lines begin that are ssh's own words on the line, not the other side's."""
_AGAIN = "run the same command again; nothing is left half done"


def reason(host: str, code: int, said: str, printed: str, explain: Explain, *, spoken: bool, near: bool) -> Unreachable:
    """Why it ended with ``code``. ``said``: on the error output; ``printed``: before the host side spoke, where it did
    (``spoken``). ``near``: no login lies between."""
    why, hint = _told(code, said, printed, explain, spoken, near)
    shown = "\n".join(clean(line) for line in said.splitlines()[-5:])
    before = f"before that it printed: {clean(printed[-500:])}" if clean(printed) else ""
    return Unreachable(f"host {host}: {why}", hint=hint, detail="\n".join(each for each in (shown, before) if each))


def flooded(host: str, printed: bytes) -> Unreachable:
    """A login shell that prints without end."""
    words = last(printed[-40:].decode("utf-8", "replace"))
    text = f'host {host}: it prints and prints, and the host side does not come to speak; such as "{words}"'
    return Unreachable(text, hint=f"its login shell must print next to nothing where there is no terminal; {_ELSE}")


def silent(host: str, seconds: float, *, spoken: bool) -> Unreachable:
    """Nothing was heard for so long, though something is asked. Not ``spoken``: nothing of ours ran there yet."""
    if spoken:
        text = f"host {host}: it has said nothing for {seconds:.0f} s"
        return Unreachable(text, hint="look at the connection, and run the same command again")
    text = f"host {host}: its login has come to nothing for {seconds:.0f} s"
    return Unreachable(text, hint="see with `ssh` by hand where it hangs: an rc file of its login shell, PAM, the line")


def _told(code: int, said: str, printed: str, explain: Explain, spoken: bool, near: bool) -> tuple[str, str]:
    """What sudo or ssh said comes before the codes of the start, since they share some."""
    known = ("", "") if spoken or near else _login(f"{printed}\n{said}")
    known = known if known[0] else explain(code, said)
    known = known if known[0] else bootstrap.told(code, said, spoken)
    words = _words(said) or (last(printed) if not spoken else "")
    if known == CUT and not spoken and words:
        return f'{CUT[0]} before anything ran there: it said "{words}"', CUT[1]
    if known[0]:
        return known
    end = f"exit {code}" if code >= 0 else f"signal {-code}"
    end += f': it said "{words}"' if words else ""
    if spoken or near:
        return f"it ended the conversation, {end}", _AGAIN
    return f"what it was sent did not run there, {end}", _ELSE


def _words(said: str) -> str:
    """What the other side said last."""
    return last("\n".join(line for line in said.splitlines() if not _OF_SSH.match(line)))


def _login(text: str) -> tuple[str, str]:
    """What keeps a user out whose key was taken."""
    return next(((why, hint) for pattern, why, hint in _LOGIN if re.search(pattern, text)), ("", ""))


def last(text: str) -> str:
    """The last line of it in which anything stands, fit for a sentence; empty where there is none."""
    line = next((found for found in map(clean, reversed(text.splitlines())) if found), "")
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


def clean(text: str) -> str:
    """Without what would steer a terminal, in one line."""
    return " ".join("".join(each if each.isprintable() else " " for each in _ESCAPES.sub("", text)).split())
