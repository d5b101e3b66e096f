"""The default pipeline over a folder of the test's own, in this process."""

from pathlib import Path

import pytest
from paste.deploy import loadapp

from tests import daemon, wire
from tests.functional.asking import LARGE, SMALL, Asker
from tests.functional.people import WRITER, People, write

INI = Path(__file__).parents[2] / "etc" / "s3filters.ini"


@pytest.fixture
def settings(tmp_path):
    """Options of [DEFAULT]: a root, one pair of keys (tests.daemon's), no waiting for the disk."""
    root = tmp_path / "root"
    root.mkdir()
    credentials = daemon.credentials(tmp_path)
    return {"root": str(root), "credentials": str(credentials), "durability": "none"}


@pytest.fixture
def make_app(settings):
    """Makes the pipeline, a WSGI app, with some options of [DEFAULT] changed."""
    return lambda **changes: loadapp(f"config:{INI}", global_conf=settings | changes)


@pytest.fixture
def app(make_app):
    """The pipeline, a WSGI app."""
    return make_app()


@pytest.fixture(scope="session")
def one_client():
    """A boto3 client, which takes longer to make than most tests to run, and where it sends."""
    apps = []

    def latest(environ, start_response):
        return apps[-1](environ, start_response)

    return wire.client(latest, daemon.ACCESS_KEY, daemon.SECRET_KEY), apps


@pytest.fixture
def s3(app, one_client):
    """A boto3 client whose requests go to the pipeline without a socket."""
    made, apps = one_client
    apps[:] = [app]
    yield made
    apps.clear()


@pytest.fixture
def ask(app):
    """Signs requests as they are given and sends them to the pipeline."""
    return Asker(app)


@pytest.fixture
def accounts(settings):
    """Accounts of every role."""
    write(Path(settings["credentials"]))


@pytest.fixture
def people(accounts, make_app):
    """Sends requests of these accounts to the pipeline."""
    return People(make_app())


@pytest.fixture
def root(settings):
    """The storage root."""
    return Path(settings["root"])


@pytest.fixture
def box(s3, root):
    """The folder of the bucket ``box``."""
    s3.create_bucket(Bucket="box")
    return root / "box"


@pytest.fixture
def owned(people, root):
    """The folder of the bucket ``box`` of ``owner``, with the object ``key`` in it."""
    assert people("owner", "PUT", "/box").status == 200
    assert people("owner", "PUT", "/box/key", b"hello").status == 200
    return root / "box"


@pytest.fixture
def granting(people, root):
    """The folder of the bucket ``box`` of ``owner``, where ACLs count."""
    header = {"x-amz-object-ownership": WRITER}
    assert people("owner", "PUT", "/box", b"", header).status == 200
    return root / "box"


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def data(request):
    """Bodies that are put, and answered, in two ways: at one go, and as a stream."""
    return request.param
