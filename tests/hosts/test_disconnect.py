"""Logins that a real sshd takes and that come to nothing: each is told in its own words, with what to do."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.hosts.sshd import SSHD, sshd
from tests.onhost.world import OWNER
from unictl.execution.surveys import survey_all
from unictl.fleet.model import ConnectionAddress, Host
from unictl.hosts import disconnect
from unictl.hosts.connector import connect_host
from unictl.instances.observed.host_state import UnreachableHost
from unictl.onhost.protocol import frames

pytestmark = [pytest.mark.real, pytest.mark.skipif(not SSHD, reason="needs sshd")]
Reached = tuple[int, dict[str, str]]
GOOD = "19000:0:99999:7:::"
USERS = {
    "plain": ("/bin/sh", GOOD),
    "expired": ("/bin/sh", "19000:0:99999:7::19001:"),
    "aged": ("/bin/sh", "0:0:99999:7:::"),
    "nologin": ("/usr/sbin/nologin", GOOD),
    "shelled": ("/bin/no-such-shell", GOOD),
    "false": ("/bin/false", GOOD),
}
FORCED = {
    "menu": "echo 'Please choose:'; printf '\\033[31m1) \\033[0mleave\\a'; exit 3",
    "silent": "exit 0",
    "flood": "while :; do printf 'yesyesyesyesyesyesyesyes'; done",
    "hang": "exec cat >/dev/null",
    "lines": "while :; do echo yes; done",
}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Reached]]:
    """Its folder, and how it is reached."""
    folder = tmp_path_factory.mktemp("logins")
    forced = {f"to-{name}": ("/bin/sh", GOOD) for name in FORCED}
    lines = "".join(f"Match User to-{name}\n  ForceCommand {command}\n" for name, command in FORCED.items())
    with sshd(folder, lines, USERS | forced) as reached:
        yield folder, reached


def silence(reached: Reached, user: str) -> str:
    """Why that user's host does not answer, and what to do."""
    port, env = reached
    host = Host(name="hv1", connect=ConnectionAddress(kind="ssh", host="127.0.0.1", user=user, port=port))

    async def act() -> Mapping[str, object]:
        found = await survey_all(
            {"hv1": host}, lambda each: connect_host(each, env=env), owner=OWNER, mark="shop", fingerprints={}
        )
        await found.close()
        return found.live_state

    said = asyncio.run(act())["hv1"]
    assert isinstance(said, UnreachableHost), said
    return f"{said.reason} -> {said.hint}"


@pytest.mark.parametrize(
    ("user", "why", "hint"),
    [
        ("expired", "its user's account has expired there", "chage -E"),
        ("aged", "its user must change the password there first", "log in once by hand"),
        ("nologin", "its user's login shell, nologin, lets nobody in", "usermod -s"),
        ("shelled", "it refuses the login (shelled@127.0.0.1)", "also where the user's login shell does not exist"),
        ("false", "what it was sent did not run there, exit 1", "a login shell that lets nobody in"),
        ("to-menu", 'what it was sent did not run there, exit 3: it said "1) leave"', "ForceCommand"),
        ("to-silent", "what it was sent did not run there, exit 0", "ForceCommand"),
        ("to-flood", "it prints and prints, and the host side does not come to speak", "must print next to nothing"),
        ("to-lines", "it prints and prints, and the host side does not come to speak", "must print next to nothing"),
    ],
)
def test_a_login_that_comes_to_nothing_says_why_and_what_to_do(
    there: tuple[Path, Reached], user: str, why: str, hint: str
) -> None:
    began = time.monotonic()
    told = silence(there[1], user)
    assert told.startswith(why) and hint in told
    assert told.isprintable() and len(told) < 400
    assert time.monotonic() - began < 10


def test_a_login_that_hangs_is_given_up_with_what_to_look_at(
    there: tuple[Path, Reached], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a shorter limit than the one that is shipped."""
    monkeypatch.setattr(frames, "SILENCE_LIMIT", 1.5)
    monkeypatch.setattr(frames, "PING_INTERVAL", 0.2)
    began = time.monotonic()
    told = silence(there[1], "to-hang")
    assert told.startswith("its login has come to nothing for 2 s -> see with `ssh` by hand where it hangs")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("System is going down. Unprivileged users are not permitted to log in anymore.", "it lets nobody log in just"),
        ("Disks are being changed", 'the connection was cut before anything ran there: it said "Disks are being ch'),
    ],
)
def test_a_host_that_lets_nobody_log_in_says_so_in_its_own_words(
    there: tuple[Path, Reached], text: str, why: str
) -> None:
    note = there[0] / "etc" / "nologin"
    note.write_text(f"{text}\n")
    try:
        assert silence(there[1], "plain").startswith(why)
    finally:
        note.unlink()


def test_what_another_side_says_is_one_bounded_line_that_steers_no_terminal() -> None:
    said = "first\n\x1b[2J\x1b]0;title\x07\x1b[31mred\x1b[0m \u202e\x9bend" + "x" * 500 + "\n\n \r\n"
    told = disconnect.last_line(said)
    assert told.startswith("red end") and told.isprintable() and len(told) == disconnect.MAX_QUOTE_LENGTH
