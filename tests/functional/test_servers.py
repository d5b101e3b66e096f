"""One pipeline, four servers: what we do is plain WSGI, and eventlet is only one way to run it."""

import configparser
import os
import socketserver
import subprocess
import sys
import threading
import time
import wsgiref.simple_server
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests import daemon
from tests.functional.conftest import INI

KEYS = ("plain", "a b/c+d", "100%41/50%", "x" * 255)
BEYOND_ASCII = ("ä/日本", "€")
START_LIMIT_S = 20.0
STOP_LIMIT_S = 15.0


@contextmanager
def process(command, port):
    """Run a server until the block ends; it must end in good order when told to."""
    environment = {**os.environ, "PYTHONPATH": str(INI.parent.parent)}
    server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    with server:
        try:
            _wait_for(server, port)
            yield
        finally:
            server.terminate()
            try:
                server.wait(STOP_LIMIT_S)
            finally:
                server.kill()


def _wait_for(server, port):
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        assert server.poll() is None, server.stderr.read()
        with suppress(OSError), closing(HTTPConnection("127.0.0.1", port, timeout=5)) as http:
            http.request("GET", "/healthz")
            assert http.getresponse().status == 200
            return
        time.sleep(0.05)
    raise AssertionError("the server does not answer")


def ini_with(tmp_path, settings, server):
    """Write the default ini with these options of [DEFAULT] and this server section."""
    ini = configparser.ConfigParser(default_section="none", interpolation=None)
    ini.optionxform = str
    ini.read(INI)
    ini["DEFAULT"] = settings
    ini["server:main"] = server
    path = tmp_path / "server.ini"
    with path.open("w") as file:
        ini.write(file)
    return path


@contextmanager
def our_server(tmp_path, settings, app, port):
    path = ini_with(
        tmp_path,
        settings,
        {"use": "egg:s3filters#eventlet", "listen": f"127.0.0.1:{port}", "workers": "1"},
    )
    command = [sys.executable, "-m", "s3filters.commands.main", "serve", "--conf", str(path)]
    with process(command, port):
        yield


@contextmanager
def paste_http(tmp_path, settings, app, port):
    server = {"use": "egg:Paste#http", "host": "127.0.0.1", "port": str(port)}
    path = ini_with(tmp_path, settings, server)
    command = [sys.executable, "-m", "s3filters.commands.main", "serve", "--conf", str(path)]
    with process(command, port):
        yield


@contextmanager
def gunicorn(tmp_path, settings, app, port):
    path = ini_with(tmp_path, settings, {"use": "egg:s3filters#eventlet"})
    command = [
        *(sys.executable, "-m", "gunicorn", "--paste", str(path)),
        *("--bind", f"127.0.0.1:{port}", "--threads", "2", "--log-level", "warning"),
        "--no-control-socket",
    ]
    with process(command, port):
        yield


class _Threaded(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # answers Expect: 100-continue, which boto3 waits a second for

    def log_message(self, *_args):
        pass


@contextmanager
def wsgiref_server(tmp_path, settings, app, port):
    with wsgiref.simple_server.make_server("127.0.0.1", port, app, _Threaded, _Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


# Paste's server decodes the path as UTF-8 where PEP 3333 says latin-1: it can carry ASCII only.
SERVERS = {
    our_server: KEYS + BEYOND_ASCII,
    paste_http: KEYS,
    gunicorn: KEYS + BEYOND_ASCII,
    wsgiref_server: KEYS + BEYOND_ASCII,
}


@pytest.fixture
def client(server, tmp_path, settings, app):
    port = daemon.free_port()
    with server(tmp_path, settings, app, port):
        made = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id=daemon.ACCESS_KEY,
            aws_secret_access_key=daemon.SECRET_KEY,
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )
        with closing(made):
            yield made


@pytest.mark.parametrize(
    ("server", "keys"), list(SERVERS.items()), ids=[f.__name__ for f in SERVERS]
)
def test_a_pipeline_serves_puts_gets_listings_and_deletes(client, keys):
    client.create_bucket(Bucket="bucket")
    for number, key in enumerate(keys):
        client.put_object(Bucket="bucket", Key=key, Body=bytes([number]) * 70_000)
    for number, key in enumerate(keys):
        answer = client.get_object(Bucket="bucket", Key=key, Range="bytes=-3")
        assert answer["Body"].read() == bytes([number]) * 3
    listed = client.list_objects_v2(Bucket="bucket")["Contents"]
    assert [entry["Key"] for entry in listed] == sorted(keys)
    assert {entry["Size"] for entry in listed} == {70_000}
    for key in keys:
        client.delete_object(Bucket="bucket", Key=key)
    with pytest.raises(ClientError) as error:
        client.head_object(Bucket="bucket", Key=keys[0])
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    client.delete_bucket(Bucket="bucket")
    assert client.list_buckets()["Buckets"] == []
