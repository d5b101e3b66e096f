"""What all tests share: hypothesis profiles, and an environment without anybody's credentials."""

import functools
import importlib.metadata
import logging
import os
import signal

import pytest
from hypothesis import HealthCheck, settings
from paste.deploy import loadwsgi

from s3filters.pipeline import fs

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=300, deadline=None, derandomize=True, print_blob=True)
settings.register_profile(
    "long", max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

# Where it is ignored, as in a shell's background, it would be by every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

CREDENTIAL_VARIABLES = (
    "S3_ACCESS_KEY",
    "S3_SECRET_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
)


def pytest_collection_modifyitems(config, items):
    """Fast tests first: folder after folder, as pyproject.toml lists them, each at random."""
    folders = [config.rootpath / folder for folder in config.getini("testpaths")]

    def place(item):
        found = (at for at, folder in enumerate(folders) if folder in item.path.parents)
        return next(found, len(folders))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def no_credentials_in_the_environment(monkeypatch):
    """A developer's own keys neither sign a test's request nor open its server."""
    for name in CREDENTIAL_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """What a command of the test's own process set up would write to a stream that has ended."""
    root = logging.getLogger()
    level, before = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler and handler not in before:
            root.removeHandler(handler)


@pytest.fixture(scope="session", autouse=True)
def no_sweeping_beside_the_tests():
    """A thread of an earlier test's app neither logs into a later test nor meets its patches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fs, "FIRST_SWEEP_S", 10.0**6)
        yield


@pytest.fixture(scope="session", autouse=True)
def what_is_installed_is_looked_up_once():
    """Half the time that loading a pipeline takes goes into finding the entry points of ours."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((importlib.metadata, "distribution"), (loadwsgi, "find_entry_point")):
            patch.setattr(module, name, functools.cache(getattr(module, name)))
        yield
