"""A host reached by the system's own ssh, so that its whole configuration, agents and known hosts apply."""

import re

from unictl.fleet.model import Connect
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

QUIET = ("env", "SSH_ASKPASS_REQUIRE=never", "SSH_ASKPASS=false")
_DROPS = "its sshd, or a jump host's, drops connections as they begin"
_BY_HAND = "try the same with `ssh` by hand"
_SENTENCES = (
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
        _BY_HAND,
    ),
    (r"Unable to negotiate", "ssh here and sshd there have no algorithm in common", _BY_HAND),
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
        _DROPS,
        "run the same command again; if it comes often, raise MaxStartups in the sshd_config there",
    ),
    (
        r"(?:Connection (?:to .* )?closed|Connection reset|Broken pipe|not responding)",
        *disconnect.CUT,
    ),
)


def argv(connect: Connect, words: tuple[str, ...], program: tuple[str, ...] = ("ssh",)) -> tuple[str, ...]:
    """``ssh -- HOST 'QUOTED'``; user and host were checked when the fleet was read.

    A jump host's ssh is started by ssh itself, and hears of none of these options but of the variables: it has no
    terminal to ask on, and must open no window either.
    """
    options = tuple(word for option in OPTIONS for word in ("-o", option))
    port = ("-p", str(connect.port)) if connect.port else ()
    user = ("-l", connect.user) if connect.user else ()
    return (*QUIET, *program, "-T", *options, *port, *user, "--", connect.host, bootstrap.quoted(words))


def dropped(code: int, said: str) -> bool:
    """Whether the connection ended before anything was said on it, as an sshd does that has too many beginning."""
    return explain(code, said)[0] == _DROPS


def explain(code: int, said: str) -> tuple[str, str]:
    """What ssh said, as a sentence and a next step; empty where that is not known."""
    if code == 127 and re.search(r"env: .?ssh.?: No such file", said):
        return "there is no ssh on this machine", "install the OpenSSH client here"
    if code != 255:
        return local.explain(code, said)
    for pattern, why, hint in _SENTENCES:
        if found := re.search(pattern, said):
            # A jump host's login may be meant: so say whose.
            who = found.groupdict().get("who")
            return f"{why} ({who})" if who else why, hint
    if not said.strip():
        return disconnect.CUT
    return f"ssh failed ({said.strip().splitlines()[-1].strip()})", _BY_HAND
