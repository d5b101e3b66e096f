"""A receiver of messages."""

import pytest

from tests.unit.events.receiver import receiving


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found
