"""A complete that takes long, over the network: the connection lives, and the end is told."""

import time
from contextlib import closing, contextmanager
from http.client import HTTPResponse
from types import SimpleNamespace
from xml.etree.ElementTree import fromstring

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from s3filters.backends.fs import slowly
from s3filters.store import Store
from tests import daemon
from tests.functional.parts import Uploader
from tests.functional.sluggish import complete
from tests.functional.test_servers import wsgiref_server
from tests.raw import RawConnection

SLUGGISH_S = 0.8
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


@pytest.fixture(scope="module")
def sluggish(tmp_path_factory):
    root = tmp_path_factory.mktemp("sluggish")
    log = root.parent / "access.log"
    with daemon.running(
        root,
        module="tests.functional.sluggish",
        environ={"SLUGGISH_S": str(SLUGGISH_S)},
        extra=("--access-log", str(log)),
    ) as running:
        running.access_log = log
        s3 = client_of(running)
        s3.create_bucket(Bucket="box")
        yield running, s3


def client_of(running):
    return boto3.client(
        "s3",
        endpoint_url=running.url,
        region_name="us-east-1",
        aws_access_key_id=daemon.ACCESS_KEY,
        aws_secret_access_key=daemon.SECRET_KEY,
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


def begun(s3, key):
    """An upload of one part; what completes it."""
    upload = Uploader(s3, key)
    upload.put(1, b"x" * 100_000)
    etag = upload.parts[1]["ETag"]
    body = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    )
    return upload, body.encode()


@contextmanager
def asked(running, upload, body):
    """Ask to complete; give the answer whose body has not been read, and the connection."""
    with closing(RawConnection(running.port)) as connection:
        target = f"/box/{upload.name['Key']}?uploadId={upload.id}"
        connection.socket.sendall(connection.request("POST", target, body))
        with closing(HTTPResponse(connection.socket, method="POST")) as response:
            response.begin()
            yield connection, response


def pieces(response):
    """The body as it comes: (seconds since the first look, bytes)."""
    began = time.monotonic()
    while piece := response.read1():
        yield time.monotonic() - began, piece


def test_the_answer_begins_before_its_end_is_known(sluggish):
    running, s3 = sluggish
    upload, body = begun(s3, "key")
    began = time.monotonic()
    with asked(running, upload, body) as (_, response):
        assert response.status == 200
        assert time.monotonic() - began < SLUGGISH_S - 0.1
        assert response.getheader("Content-Type") == "application/xml"
        assert response.getheader("Transfer-Encoding") == "chunked"
        assert response.getheader("x-amz-request-id")
        came = list(pieces(response))
    assert time.monotonic() - began >= SLUGGISH_S
    whole = b"".join(piece for _, piece in came)
    assert came[0][1].startswith(DECLARATION)
    assert came[0][0] < SLUGGISH_S - 0.2
    rest = whole.removeprefix(DECLARATION)
    assert len(rest) - len(rest.lstrip()) >= 2
    assert whole.count(b"<?xml") == 1
    assert fromstring(whole).tag.endswith("CompleteMultipartUploadResult")
    assert s3.head_object(Bucket="box", Key="key")["ContentLength"] == 100_000


def test_the_connection_goes_on_after_a_late_answer(sluggish):
    running, s3 = sluggish
    upload, body = begun(s3, "again")
    with asked(running, upload, body) as (connection, response):
        response.read()
        connection.socket.sendall(connection.request("HEAD", "/box/again", b""))
        assert connection.answer("HEAD").status == 200


def test_other_requests_are_served_meanwhile(sluggish):
    running, s3 = sluggish
    upload, body = begun(s3, "meanwhile")
    with asked(running, upload, body) as (_, response):
        began = time.monotonic()
        s3.list_objects_v2(Bucket="box")
        assert time.monotonic() - began < 0.4
        response.read()


@pytest.mark.parametrize(
    ("key", "code"), [("it-fails", "InsufficientStorage"), ("it-breaks", "InternalError")]
)
def test_a_late_error_is_told_in_the_body_as_boto3_expects_it(sluggish, key, code):
    running, s3 = sluggish
    upload, _ = begun(s3, key)
    with pytest.raises(ClientError) as caught:
        upload.complete()
    assert caught.value.response["Error"]["Code"] == code
    assert upload.stored() == [(1, 100_000)]
    assert ("ZeroDivisionError" in running.words()) or code != "InternalError"


def test_boto3_takes_a_late_answer_for_an_answer(sluggish):
    _, s3 = sluggish
    upload, _ = begun(s3, "late")
    assert upload.complete()["Key"] == "late"


def test_the_object_is_made_also_when_the_client_goes_away(sluggish):
    running, s3 = sluggish
    upload, body = begun(s3, "left")
    with asked(running, upload, body) as (_, response):
        response.read1()
    deadline = time.monotonic() + 10
    while "left went away; it is done" not in running.words():
        assert time.monotonic() < deadline, running.words()
        time.sleep(0.05)
    assert s3.head_object(Bucket="box", Key="left")["ContentLength"] == 100_000


def test_the_access_log_has_one_line_for_it(sluggish):
    running, s3 = sluggish
    upload, body = begun(s3, "logged")
    with asked(running, upload, body) as (_, response):
        size = len(response.read())
    deadline = time.monotonic() + 10
    while not (lines := completions(running, "/box/logged")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (line,) = lines
    assert f" 200 {size} " in line


def completions(running, path):
    lines = running.access_log.read_text().splitlines()
    return [line for line in lines if path in line and "CompleteMultipartUpload" in line]


def test_a_server_with_a_thread_for_each_request_is_not_silent_either(
    tmp_path, settings, make_app, monkeypatch
):
    monkeypatch.setattr(slowly, "QUICK_S", 0.1)
    monkeypatch.setattr(slowly, "BLANK_S", 0.1)
    monkeypatch.setenv("SLUGGISH_S", str(SLUGGISH_S))
    monkeypatch.setattr(Store, "complete", complete)
    port = daemon.free_port()
    with wsgiref_server(tmp_path, settings, make_app(), port):
        running = SimpleNamespace(port=port)
        s3 = client_of(SimpleNamespace(url=f"http://127.0.0.1:{port}"))
        s3.create_bucket(Bucket="box")
        upload, body = begun(s3, "key")
        began = time.monotonic()
        with asked(running, upload, body) as (_, response):
            assert time.monotonic() - began < SLUGGISH_S
            whole = b"".join(piece for _, piece in pieces(response))
        assert time.monotonic() - began >= SLUGGISH_S
        assert fromstring(whole).tag.endswith("CompleteMultipartUploadResult")
        assert whole.count(b" ") > 3
        s3.close()
