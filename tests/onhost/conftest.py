"""One host per test, gone with all its processes afterwards."""

from collections.abc import Iterator

import pytest

from tests.onhost.world import World, short_folder


@pytest.fixture
def world() -> Iterator[World]:
    made = World(short_folder())
    try:
        yield made
        assert not made.fault()
    finally:
        made.close()


@pytest.fixture
def held(world: World) -> World:
    """The same with its lease taken."""
    world.acquire()
    return world
