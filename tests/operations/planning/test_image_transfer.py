"""Where image bytes come from: a URL, this machine's store, another host; and what is said when they are nowhere."""

import hashlib
from pathlib import Path

import pytest

from tests.images.https_server import serving
from tests.onhost.world import OWNER, World, short_folder
from tests.operations.fleets import TryFleet
from unictl.execution.image_relay import RemoteImage, relay_images
from unictl.fleet.model import Host
from unictl.hosts.connection import HostConnection
from unictl.hosts.connector import connect_host
from unictl.images.local_store import LocalStore


@pytest.mark.real
def test_an_image_behind_a_url_is_fetched_by_the_first_plan_and_never_again(
    fleet: TryFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    elf = fleet.folder / "hello.elf"
    digest = hashlib.sha256(elf.read_bytes()).hexdigest()
    with serving(tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        server.files["/hello.elf"] = elf.read_bytes()
        elf.unlink()
        fleet.edit("kernel: hello.elf", f'kernel: "{server.url("/hello.elf")}", sha256: {digest}')
        for command in ("validate", "show", "status", "images"):
            assert (fleet.run(command).code, server.asked) == (0, [])
        unlocked = fleet.run("whatif", "-lose", "local")
        assert (unlocked.code, server.asked) == (3, [])
        assert "fleet.lock does not have it" in unlocked.err + unlocked.out
        assert fleet.plan().code == 2
        assert len(server.asked) == 1
    applied = fleet.apply()
    assert applied.code == 0, applied.out + applied.err
    assert (tmp_path / "cache" / "unictl" / "images" / digest).is_file()
    assert "hello" in fleet.get()
    assert fleet.plan().code == 0


@pytest.mark.real
def test_a_url_that_fails_is_a_problem_with_its_place(
    fleet: TryFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with serving(tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        fleet.edit("kernel: hello.elf", f'kernel: "{server.url("/gone.elf")}", sha256: {"a" * 64}')
        planned = fleet.plan()
    assert planned.code == 3
    said = planned.out + planned.err
    assert "there is no such file (404)" in said
    assert "fleet.yaml:" in said


@pytest.mark.real
def test_without_the_file_the_lock_and_the_hosts_are_enough_until_bytes_are_nowhere(
    fleet: TryFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert fleet.apply().code == 0
    (fleet.folder / "hello.elf").unlink()
    assert fleet.plan().code == 0
    fleet.edit("--greeting=hello", "--greeting=servus")
    assert fleet.apply().code == 0
    assert "servus" in fleet.get()
    (image,) = (path for path in (fleet.root / "images").iterdir() if len(path.name) == 64)
    image.unlink()
    fleet.edit("--greeting=servus", "--greeting=moin")
    planned = fleet.plan()
    assert planned.code == 1
    assert "are nowhere" in planned.out
    assert fleet.apply().code == 1
    assert "servus" in fleet.get()


def test_images_that_only_other_hosts_have_are_relayed_over_one_connection_each_and_taken_up_where_they_broke(
    tmp_path: Path,
) -> None:
    datas = [bytes([65 + n]) * 3_000_000 for n in range(3)]
    worlds, store = [World(short_folder()) for _ in range(2)], LocalStore(tmp_path / "images")
    hosts = [Host(name=f"hv{n}", root=world.root.path) for n, world in enumerate(worlds)]
    reached: list[str] = []

    async def counted(host: Host) -> HostConnection:
        reached.append(host.name)
        return await connect_host(host)

    try:
        for world in worlds:
            world.acquire()
        shas = [worlds[n % 2].stage(data) for n, data in enumerate(datas)]
        with store.open_partial(shas[0]) as file:
            file.write(datas[0][:1_000_000])
        wanted = [RemoteImage(host=hosts[n % 2], digest=sha, size=3_000_000) for n, sha in enumerate(shas)]
        found = relay_images([*wanted, RemoteImage(host=hosts[0], digest="a" * 64, size=1)], counted, OWNER, store)
        assert [found[sha].read_bytes() for sha in shas if isinstance(found[sha], Path)] == datas  # type: ignore[union-attr]
        assert "not on this host any more" in str(found["a" * 64])
        assert sorted(reached) == ["hv0", "hv1"]
    finally:
        for world in worlds:
            world.close()


def test_without_the_file_and_the_lock_one_still_sees_who_is_at_work_and_what_was_printed(fleet: TryFleet) -> None:
    for name in ("hello.elf", "fleet.lock"):
        (fleet.folder / name).unlink(missing_ok=True)
    assert fleet.run("locks").code == 0
    assert "no instance 'front'" in fleet.logs("front").err
    assert fleet.plan().code == 3
