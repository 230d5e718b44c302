"""Explains the end of a conversation: a sentence and a next step, derived from what the other side printed. No I/O."""

import re
from collections.abc import Callable

from unictl.diagnostics.failure import Unreachable
from unictl.hosts import bootstrap

ExitExplainer = Callable[[int, str], tuple[str, str]]
"""The exit code and what was said -> a sentence and a next step; empty where they are not known."""

MAX_QUOTE_LENGTH = 160
"""Characters of another side's words that go into a sentence."""
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")

_LOGIN_REFUSALS = (
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
_LOGIN_HINT = (
    "`ssh` by hand shows what runs there in its place: "
    "a login shell that lets nobody in, an rc file that ends it, ForceCommand in its sshd_config or key"
)
CUT_REASON = ("the connection was cut", "run the same command again")
_SSH_LINE = re.compile(r"Connection |Shared connection|Timeout, server|Warning: Permanently|client_loop: |\*\* ")
"""How lines begin that are ssh's own words on the line, not the other side's."""
_RETRY_HINT = "run the same command again; nothing is left half done"


def disconnect_failure(
    host: str, code: int, stderr: str, preamble: str, explain: ExitExplainer, *, established: bool, is_local: bool
) -> Unreachable:
    """Why it ended with ``code``.

    ``stderr``: on the error output; ``preamble``: before the host side spoke, where it did (``established``).
    ``is_local``: no login lies between.
    """
    summary, hint = _explain_end(code, stderr, preamble, explain, established, is_local)
    shown = "\n".join(clean_text(line) for line in stderr.splitlines()[-5:])
    preamble_note = f"before that it printed: {clean_text(preamble[-500:])}" if clean_text(preamble) else ""
    return Unreachable(
        f"host {host}: {summary}", hint=hint, detail="\n".join(part for part in (shown, preamble_note) if part)
    )


def flooded_failure(host: str, preamble: bytes) -> Unreachable:
    """A login shell that prints without end."""
    words = last_line(preamble[-40:].decode("utf-8", "replace"))
    text = f'host {host}: it prints and prints, and the host side does not come to speak; such as "{words}"'
    return Unreachable(
        text, hint=f"its login shell must print next to nothing where there is no terminal; {_LOGIN_HINT}"
    )


def silence_failure(host: str, seconds: float, *, established: bool) -> Unreachable:
    """Nothing was heard for so long, though something is asked. Not ``established``: nothing of ours ran there yet."""
    if established:
        text = f"host {host}: it has said nothing for {seconds:.0f} s"
        return Unreachable(text, hint="look at the connection, and run the same command again")
    text = f"host {host}: its login has come to nothing for {seconds:.0f} s"
    return Unreachable(text, hint="see with `ssh` by hand where it hangs: an rc file of its login shell, PAM, the line")


def _explain_end(
    code: int, stderr: str, preamble: str, explain: ExitExplainer, established: bool, is_local: bool
) -> tuple[str, str]:
    """What sudo or ssh said comes before the codes of the start, since they share some."""
    explanation = ("", "") if established or is_local else _explain_login(f"{preamble}\n{stderr}")
    explanation = explanation if explanation[0] else explain(code, stderr)
    explanation = explanation if explanation[0] else bootstrap.explain_exit(code, stderr, established)
    words = _last_stderr_line(stderr) or (last_line(preamble) if not established else "")
    if explanation == CUT_REASON and not established and words:
        return f'{CUT_REASON[0]} before anything ran there: it said "{words}"', CUT_REASON[1]
    if explanation[0]:
        return explanation
    end = f"exit {code}" if code >= 0 else f"signal {-code}"
    end += f': it said "{words}"' if words else ""
    if established or is_local:
        return f"it ended the conversation, {end}", _RETRY_HINT
    return f"what it was sent did not run there, {end}", _LOGIN_HINT


def _last_stderr_line(stderr: str) -> str:
    """What the other side said last."""
    return last_line("\n".join(line for line in stderr.splitlines() if not _SSH_LINE.match(line)))


def _explain_login(text: str) -> tuple[str, str]:
    """What keeps a user out whose key was taken."""
    return next(((reason, hint) for pattern, reason, hint in _LOGIN_REFUSALS if re.search(pattern, text)), ("", ""))


def last_line(text: str) -> str:
    """The last line of it in which anything stands, fit for a sentence; empty where there is none."""
    line = next((cleaned_line for cleaned_line in map(clean_text, reversed(text.splitlines())) if cleaned_line), "")
    return line if len(line) <= MAX_QUOTE_LENGTH else f"{line[: MAX_QUOTE_LENGTH - 3]}..."


def clean_text(text: str) -> str:
    """Without what would steer a terminal, in one line."""
    return " ".join(
        "".join(character if character.isprintable() else " " for character in _ESCAPES.sub("", text)).split()
    )
