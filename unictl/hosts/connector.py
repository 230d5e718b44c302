"""Connects to a declared host."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from unictl.fleet import model
from unictl.hosts import local, openssh, session
from unictl.hosts.connection import HostConnection


async def connect_host(
    host: model.Host,
    *,
    command_prefix: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    on_reconnect: Callable[[str], None] | None = None,
) -> HostConnection:
    """Start the conversation; returns at once, a host that cannot be reached is told by the first verb.

    ``command_prefix`` goes before the local command line (``ip netns exec ...`` of a lab, a test's own ssh). ``env``:
    the environment of ssh or of the local host side; None: inherited. ``on_reconnect`` hears of a line that broke and
    was made again.
    """
    prefix = tuple(command_prefix)
    start_conversation = partial(session.start_conversation, host.name, root=host.root, become=host.become, env=env)
    if host.connect.kind == "local":
        start_conversation = partial(
            start_conversation,
            wrap_command=lambda words: (*prefix, *local.command_line(words)),
            is_local=True,
            explain=local.explain_exit,
        )
    else:
        start_conversation = partial(
            start_conversation,
            wrap_command=lambda words: (*prefix, *openssh.command_line(host.connect, words)),
            explain=openssh.explain_exit,
            is_dropped=openssh.is_dropped,
        )
    return HostConnection(await start_conversation(), start_conversation, on_reconnect)
