"""Images from a real https server on loopback: fetched once, resumed, verified, bounded; every problem a sentence."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.https_server import Server, serving
from unictl.images import https
from unictl.images.local_store import LocalStore

IMAGE = os.urandom(1_500_000)
SHA = hashlib.sha256(IMAGE).hexdigest()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("SSL_CERT_FILE", str(running.authority))
    running.files = {"/app.elf": IMAGE}
    running.redirects, running.statuses, running.cut, running.asked, running.ranges = {}, {}, [], [], True
    return running


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "images")


def refusal(url: str, store: LocalStore, digest: str = SHA) -> https.FetchFailure:
    with pytest.raises(https.FetchFailure) as told:
        https.fetch(url, digest, store)
    assert told.value.hint
    assert store.find(digest) is None
    return told.value


def test_an_image_is_fetched_once_and_lies_in_the_store_read_only(server: Server, store: LocalStore) -> None:
    heard: list[tuple[int, int]] = []
    path = https.fetch(server.url("/app.elf"), SHA, store, lambda done, total: heard.append((done, total)))
    assert path.read_bytes() == IMAGE
    assert path.stat().st_mode & 0o777 == 0o444
    assert heard[-1] == (len(IMAGE), len(IMAGE))
    assert https.fetch(server.url("/app.elf"), SHA, store) == path
    assert len(server.asked) == 1


def test_a_line_that_is_cut_is_taken_up_where_it_broke(server: Server, store: LocalStore) -> None:
    server.cut = [500_000, 500_000]
    assert https.fetch(server.url("/app.elf"), SHA, store).read_bytes() == IMAGE
    assert [wanted for _, wanted in server.asked] == ["", "bytes=500000-", "bytes=1000000-"]


def test_what_an_earlier_run_got_is_not_fetched_again(server: Server, store: LocalStore) -> None:
    with store.open_partial(SHA) as file:
        file.write(IMAGE[:700_000])
    https.fetch(server.url("/app.elf"), SHA, store)
    assert [wanted for _, wanted in server.asked] == ["bytes=700000-"]


def test_a_server_without_ranges_and_a_file_that_became_shorter_begin_anew(server: Server, store: LocalStore) -> None:
    server.ranges = False
    with store.open_partial(SHA) as file:
        file.write(b"x" * 700_000)
    assert https.fetch(server.url("/app.elf"), SHA, store).read_bytes() == IMAGE
    short = IMAGE[:1000]
    server.ranges, server.files = True, {"/app.elf": short}
    digest = hashlib.sha256(short).hexdigest()
    with store.open_partial(digest) as file:
        file.write(b"x" * 2000)
    assert https.fetch(server.url("/app.elf"), digest, store).read_bytes() == short


def test_a_partial_of_other_bytes_is_found_out_and_fetched_anew(server: Server, store: LocalStore) -> None:
    with store.open_partial(SHA) as file:
        file.write(b"x" * 700_000)
    assert https.fetch(server.url("/app.elf"), SHA, store).read_bytes() == IMAGE
    assert [wanted for _, wanted in server.asked] == ["bytes=700000-", ""]


def test_other_bytes_than_the_digest_says_are_refused_and_not_kept(server: Server, store: LocalStore) -> None:
    told = refusal(server.url("/app.elf"), store, "a" * 64)
    assert f"has the digest {SHA[:12]}, not aaaaaaaaaaaa" in str(told)
    assert [each.stat().st_size for each in store.folder.iterdir()] == [0]


def test_a_file_that_is_not_there_says_so_at_once(server: Server, store: LocalStore) -> None:
    assert "/none: there is no such file (404)" in str(refusal(server.url("/none?token=hidden"), store))
    assert "hidden" not in str(refusal(server.url("/none?token=hidden"), store))
    assert len(server.asked) == 2


def test_a_server_that_is_busy_is_asked_again(server: Server, store: LocalStore) -> None:
    server.statuses["/app.elf"] = [503, 503]
    https.fetch(server.url("/app.elf"), SHA, store)
    assert len(server.asked) == 3


def test_a_certificate_that_nobody_trusts_is_named(
    server: Server, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    told = refusal(server.url("/app.elf"), store)
    assert "certificate is not trusted" in str(told)
    assert "SSL_CERT_FILE" in told.hint
    assert server.asked == []


def test_a_redirect_to_https_is_followed_and_any_other_refused(server: Server, store: LocalStore) -> None:
    server.redirects = {"/moved": server.url("/app.elf"), "/plain": "http://localhost/app.elf", "/file": "file:///etc"}
    assert https.fetch(server.url("/moved"), SHA, store).read_bytes() == IMAGE
    other = LocalStore(store.folder.parent / "other")
    for path in ("/plain", "/file"):
        assert "which is not https" in str(refusal(server.url(path), other))


def test_an_image_beyond_all_measure_is_refused(
    server: Server, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "SIZE_LIMIT", 1 << 20)
    assert "is larger than" in str(refusal(server.url("/app.elf"), store))


def test_nobody_at_the_port_says_so(store: LocalStore) -> None:
    assert "cannot be fetched: Connection refused" in str(refusal("https://localhost:1/app.elf", store))


def test_a_store_that_cannot_be_written_names_the_folder(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(https.FetchFailure, match=r"cannot be kept in .*/file/images"):
        https.fetch(server.url("/app.elf"), SHA, LocalStore(tmp_path / "file" / "images"))


def test_what_was_longest_not_used_leaves_the_store_first(store: LocalStore) -> None:
    shas = [hashlib.sha256(data).hexdigest() for data in (b"a" * 10, b"b" * 10, b"c" * 10)]
    for age, (sha, data) in enumerate(zip(shas, (b"a" * 10, b"b" * 10, b"c" * 10), strict=True)):
        os.utime(store.put(sha, data), (age, age))
    store.prune(20)
    assert [store.find(sha) is not None for sha in shas] == [False, True, True]


def test_a_stored_image_whose_bytes_were_changed_is_not_found(store: LocalStore) -> None:
    path = store.put(SHA, IMAGE)
    path.chmod(0o644)
    path.write_bytes(b"other")
    assert store.find(SHA) is None
