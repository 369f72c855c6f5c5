"""One stack for all tests of the page; a test that pays or stops something leaves it as others may find it."""

import pytest

from tests.dashboard.page.viewing import Stack, chromium_on


@pytest.fixture(scope="package")
def stack(tmp_path_factory):
    made = Stack(tmp_path_factory.mktemp("dashboard") / "run")
    yield made
    made.close()


@pytest.fixture
async def dashboard(stack):
    async with chromium_on(stack.api) as made:
        yield made
        assert made.errors == []
