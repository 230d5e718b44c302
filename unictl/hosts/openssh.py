"""A host reached by the system's own ssh, so that its whole configuration, agents and known hosts apply."""

import re

from unictl.fleet.model import ConnectionAddress
from unictl.hosts import bootstrap, disconnect, local

OPTIONS = (
    "BatchMode=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=4",
    # Below that it keeps to itself what the other side says of a login, and why a line was cut.
    "LogLevel=INFO",
    # What a user's configuration sets for sessions of people would break this one.
    "RemoteCommand=none",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
)

QUIET_ENVIRONMENT = ("env", "SSH_ASKPASS_REQUIRE=never", "SSH_ASKPASS=false")
_DROPPED_REASON = "its sshd, or a jump host's, drops connections as they begin"
_TRY_SSH_HINT = "try the same with `ssh` by hand"
_SSH_MESSAGES = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|[Hh]ost key for .* has changed",
        "its host key has changed",
        "if it was installed anew: take the old one away (`ssh-keygen -R`), connect once by hand, check the new one",
    ),
    (
        r"Host key verification failed|host key is known for",
        "its host key is not known here",
        "connect once by hand with `ssh`, and check the key",
    ),
    (
        # With the name in front, since it may be a jump host's: there is another such line of it before.
        r"(?P<who>\S+@\S+): Permission denied|Too many authentication failures",
        "it refuses the login",
        "check user and key: `ssh` by hand must work without a question; "
        "sshd's log there says why, also where the user's login shell does not exist",
    ),
    (r"stdio forwarding failed", "its jump host does not reach it", "check that it is up, and the way there"),
    (r"Could not resolve hostname", "its name cannot be resolved", "check `connect:` and the network's name service"),
    (
        r"Bad configuration option|Bad owner or permissions|terminating, \d+ bad configuration",
        "ssh here does not take its configuration",
        _TRY_SSH_HINT,
    ),
    (r"Unable to negotiate", "ssh here and sshd there have no algorithm in common", _TRY_SSH_HINT),
    (
        r"Connection refused",
        "nothing answers on its ssh port",
        "check that sshd runs there, and the port in `connect:`",
    ),
    (
        r"(?:Connection|Operation) timed out|No route to host|Network is unreachable",
        "it cannot be reached",
        "check that it is up, or set `lost: true` if it is dead",
    ),
    (
        # Said where the other end hung up before either had proven who it is: nothing was run there.
        r"(?:kex|ssh)_exchange_identification: ",
        _DROPPED_REASON,
        "run the same command again; if it comes often, raise MaxStartups in the sshd_config there",
    ),
    (
        r"(?:Connection (?:to .* )?closed|Connection reset|Broken pipe|not responding)",
        *disconnect.CUT_REASON,
    ),
)


def command_line(
    connect: ConnectionAddress, words: tuple[str, ...], program: tuple[str, ...] = ("ssh",)
) -> tuple[str, ...]:
    """``ssh -- HOST 'QUOTED'``; user and host were checked when the fleet was read.

    A jump host's ssh is started by ssh itself, and hears of none of these options but of the variables: it has no
    terminal to ask on, and must open no window either.
    """
    options = tuple(word for option in OPTIONS for word in ("-o", option))
    port = ("-p", str(connect.port)) if connect.port else ()
    user = ("-l", connect.user) if connect.user else ()
    return (
        *QUIET_ENVIRONMENT,
        *program,
        "-T",
        *options,
        *port,
        *user,
        "--",
        connect.host,
        bootstrap.quote_command(words),
    )


def is_dropped(code: int, stderr: str) -> bool:
    """Whether the connection ended before anything was said on it, as an sshd does that has too many beginning."""
    return explain_exit(code, stderr)[0] == _DROPPED_REASON


def explain_exit(code: int, stderr: str) -> tuple[str, str]:
    """What ssh said, as a sentence and a next step; empty where that is not known."""
    if code == 127 and re.search(r"env: .?ssh.?: No such file", stderr):
        return "there is no ssh on this machine", "install the OpenSSH client here"
    if code != 255:
        return local.explain_exit(code, stderr)
    for pattern, reason, hint in _SSH_MESSAGES:
        if match := re.search(pattern, stderr):
            # A jump host's login may be meant: so say whose.
            login = match.groupdict().get("who")
            return f"{reason} ({login})" if login else reason, hint
    if not stderr.strip():
        return disconnect.CUT_REASON
    return f"ssh failed ({stderr.strip().splitlines()[-1].strip()})", _TRY_SSH_HINT
