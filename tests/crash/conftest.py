"""The option that says how many times the power goes out."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cuts", type=int, default=25, help="power cuts for each file system")


@pytest.fixture
def cuts(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--cuts", default=25))
