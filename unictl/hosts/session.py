"""Starts a host side: its command line, its bytes, and the conversation with it."""

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping, Sequence

from unictl.diagnostics.failure import Unreachable
from unictl.hosts import archive, bootstrap
from unictl.hosts.conversation import Conversation, DropTest
from unictl.hosts.disconnect import ExitExplainer
from unictl.hosts.upload import HIGH_WATER_BYTES, LOW_WATER_BYTES
from unictl.processes import command


async def start_conversation(
    name: str,
    wrap_command: Callable[[tuple[str, ...]], Sequence[str]],
    *,
    root: str = "",
    become: bool = False,
    is_local: bool = False,
    explain: ExitExplainer = lambda _code, _stderr: ("", ""),
    is_dropped: DropTest = lambda _code, _stderr: False,
    env: Mapping[str, str] | None = None,
) -> Conversation:
    """Start a host side; ``wrap_command`` makes the local command line of the one on the host.

    ``is_local``: see ``archive``. ``is_dropped``: whether an end by this code, after these words, came before anything
    was said.
    """
    data, digest = archive.compressed_archive(is_local)
    nonce = secrets.token_hex(16)
    local_command = wrap_command(bootstrap.command_line(nonce, len(data), digest, root=root, become=become))

    async def start_process() -> asyncio.subprocess.Process:
        process = await command.spawn(local_command, own_session=True, env=env)
        if process.stdin is not None:
            process.stdin.transport.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)
        return process

    try:
        process = await start_process()
    except OSError as error:
        text = f"host {name}: cannot start {local_command[0]}: {error.strerror}"
        raise Unreachable(text, hint=f"install {os.path.basename(local_command[0])} on this machine") from error  # noqa: PTH119
    conversation = Conversation(name, process, nonce, explain, is_local, start_process, is_dropped)
    conversation.send(data)
    return conversation
