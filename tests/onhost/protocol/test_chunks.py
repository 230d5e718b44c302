"""Cuts cover all of an image, follow its content, and keep their bounds."""

from collections.abc import Callable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from unictl.onhost.protocol import chunks

seeds = st.integers(0, 1 << 32)


def held(data: bytes) -> Callable[[int, int], bytes]:
    return lambda at, length: data[at : at + length]


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(0, 300_000), st.sampled_from([b"", bytes(1 << 17), b"e" * (1 << 17)]))
def test_blocks_are_all_of_the_bytes_in_order_and_within_bounds(seed: int, size: int, plain: bytes) -> None:
    data = Random(seed).randbytes(size) + plain
    rows = list(chunks.split(held(data)))
    assert b"".join(data[at : at + length] for at, length, _ in rows) == data
    assert all(length <= chunks.MAX_CHUNK for _, length, _ in rows)
    assert all(length > chunks.MIN_CHUNK for _, length, _ in rows[:-1])
    assert chunks.decode_index(chunks.encode_index(held(data))) == [(length, name) for _, length, name in rows]


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(0, 200_000), st.integers(1, 5000))
def test_what_is_put_in_changes_the_blocks_around_it_only(seed: int, at: int, many: int) -> None:
    random = Random(seed)
    data = random.randbytes(600_000)
    new = data[:at] + random.randbytes(many) + data[at:]
    known = {name for _, _, name in chunks.split(held(data))}
    changed = sum(length for _, length, name in chunks.split(held(new)) if name not in known)
    assert changed < many + 4 * chunks.MAX_CHUNK
