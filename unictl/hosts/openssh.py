"""A host reached by the system's own ssh, so that its whole configuration, agents and known hosts count."""

import re

from unictl.fleet.model import Connect
from unictl.hosts import bootstrap, local

OPTIONS = ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=4", "LogLevel=ERROR")

_SENTENCES = (
    (r"Could not resolve hostname", "its name cannot be resolved", "check `connect:` and the network's name service"),
    (
        r"Connection refused",
        "nothing answers on its ssh port",
        "check that sshd runs there, and the port in `connect:`",
    ),
    (
        r"(?:timed out|No route to host|Network is unreachable)",
        "it cannot be reached",
        "check that it is up, or set `lost: true`",
    ),
    (r"Permission denied", "it refuses the login", "check user and key: `ssh` by hand must work without a question"),
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key has changed",
        "if that is right: `ssh-keygen -R` the old one",
    ),
    (
        r"Host key verification failed",
        "its host key is not known here",
        "connect once by hand with `ssh`, and check the key",
    ),
    (r"(?:Connection closed|Connection reset|Broken pipe)", "the connection was cut", "run the same command again"),
)


def argv(connect: Connect, words: tuple[str, ...], program: tuple[str, ...] = ("ssh",)) -> tuple[str, ...]:
    """``ssh -- HOST 'QUOTED'``; user and host were checked when the fleet was read."""
    options = tuple(word for option in OPTIONS for word in ("-o", option))
    port = ("-p", str(connect.port)) if connect.port else ()
    user = ("-l", connect.user) if connect.user else ()
    return (*program, "-T", *options, *port, *user, "--", connect.host, bootstrap.quoted(words))


def explain(code: int, said: str) -> tuple[str, str]:
    """What ssh said, as a sentence and a next step."""
    for pattern, why, hint in _SENTENCES if code == 255 else ():
        if re.search(pattern, said):
            return why, hint
    if code == 255:
        return "ssh failed", "try the same with `ssh` by hand"
    return local.explain(code, said)
