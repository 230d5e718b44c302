"""A declared host -> a connected one."""

from collections.abc import Mapping, Sequence

from unictl.fleet import model
from unictl.hosts import conversation, local, openssh
from unictl.hosts.host import Host, RemoteHost


async def connect(
    host: model.Host, *, command_prefix: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Host:
    """Start the conversation; returns at once, a host that cannot be reached is told by the first verb.

    ``command_prefix`` goes before the local command line (``ip netns exec ...`` of a lab, a test's own ssh).
    ``env``: the environment of ssh or of the local host side; None: inherited.
    """
    prefix = tuple(command_prefix)
    if host.connect.kind == "local":
        reached = await conversation.begin(
            host.name,
            lambda words: (*prefix, *local.argv(words)),
            root=host.root,
            become=host.become,
            near=True,
            explain=local.explain,
            env=env,
        )
    else:
        reached = await conversation.begin(
            host.name,
            lambda words: (*prefix, *openssh.argv(host.connect, words)),
            root=host.root,
            become=host.become,
            explain=openssh.explain,
            env=env,
        )
    return RemoteHost(reached)
