"""The default pipeline over a folder of the test's own, in this process."""

from pathlib import Path

import pytest
from paste.deploy import loadapp

from tests import daemon, wire

INI = Path(__file__).parents[2] / "etc" / "s3filters.ini"


@pytest.fixture
def settings(tmp_path):
    """Options of [DEFAULT]: a root, one pair of keys (tests.daemon's), no waiting for the disk."""
    root = tmp_path / "root"
    root.mkdir()
    credentials = daemon.credentials(tmp_path)
    return {"root": str(root), "credentials": str(credentials), "durability": "none"}


@pytest.fixture
def app(settings):
    """The pipeline, a WSGI app."""
    return loadapp(f"config:{INI}", global_conf=settings)


@pytest.fixture
def s3(app):
    """A boto3 client whose requests go to the pipeline without a socket."""
    return wire.client(app, daemon.ACCESS_KEY, daemon.SECRET_KEY)
