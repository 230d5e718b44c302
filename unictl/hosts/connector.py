"""Connects to a declared host."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from unictl.fleet import model
from unictl.hosts import local, openssh, session
from unictl.hosts.connection import RemoteHost
from unictl.hosts.host import Host


async def connect(
    host: model.Host,
    *,
    command_prefix: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Host:
    """Start the conversation; returns at once, a host that cannot be reached is told by the first verb.

    ``command_prefix`` goes before the local command line (``ip netns exec ...`` of a lab, a test's own ssh).
    ``env``: the environment of ssh or of the local host side; None: inherited. ``tell`` hears of a line that broke and
    was made again.
    """
    prefix = tuple(command_prefix)
    begin = partial(session.begin, host.name, root=host.root, become=host.become, env=env)
    if host.connect.kind == "local":
        begin = partial(begin, argv=lambda words: (*prefix, *local.argv(words)), near=True, explain=local.explain)
    else:
        begin = partial(
            begin,
            argv=lambda words: (*prefix, *openssh.argv(host.connect, words)),
            explain=openssh.explain,
            dropped=openssh.dropped,
        )
    return RemoteHost(await begin(), begin, tell)
