"""Starts a host side: its command line, its bytes, and the conversation with it."""

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping, Sequence

from unictl.diagnostics.failure import Unreachable
from unictl.hosts import archive, bootstrap
from unictl.hosts.conversation import Conversation, Dropped
from unictl.hosts.disconnect import Explain
from unictl.hosts.upload import HIGH, LOW
from unictl.processes import command


async def begin(
    name: str,
    argv: Callable[[tuple[str, ...]], Sequence[str]],
    *,
    root: str = "",
    become: bool = False,
    near: bool = False,
    explain: Explain = lambda _code, _said: ("", ""),
    dropped: Dropped = lambda _code, _said: False,
    env: Mapping[str, str] | None = None,
) -> Conversation:
    """Start a host side; ``argv`` makes the local command line of the one on the host. ``near``: see ``archive``.
    ``dropped``: whether an end by this code, after these words, came before anything was said."""
    data, digest = archive.packed(near)
    nonce = secrets.token_hex(16)
    words = argv(bootstrap.argv(nonce, len(data), digest, root=root, become=become))

    async def start() -> asyncio.subprocess.Process:
        process = await command.spawn(words, own_session=True, env=env)
        if process.stdin is not None:
            process.stdin.transport.set_write_buffer_limits(HIGH, LOW)
        return process

    try:
        process = await start()
    except OSError as error:
        text = f"host {name}: cannot start {words[0]}: {error.strerror}"
        raise Unreachable(text, hint=f"install {os.path.basename(words[0])} on this machine") from error  # noqa: PTH119
    conversation = Conversation(name, process, nonce, explain, near, start, dropped)
    conversation.say(data)
    return conversation
