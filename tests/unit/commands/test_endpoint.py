"""The commands restore and cold at an endpoint that behaves as AWS, or as one that says less."""

import json
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest

from s3filters.commands import endpoint, main

XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
FUTURE, PAST = "2099-01-02T00:00:00.000Z", "2001-01-02T00:00:00.000Z"
ONGOING = 'ongoing-request="true"'
UNTIL = 'ongoing-request="false", expiry-date="Fri, 02 Jan 2099 00:00:00 GMT"'
LONG_AGO = 'ongoing-request="false", expiry-date="Tue, 02 Jan 2001 00:00:00 GMT"'


class Bucket:
    """Objects of an endpoint: key -> (storage class, x-amz-restore)."""

    def __init__(self, objects, *, silent):
        self.objects = objects
        self.silent = silent
        self.requests = []
        self.bodies = []
        self.page = 1000

    def listing(self, query, asked):
        prefix, after = query.get("prefix", [""])[0], query.get("continuation-token", [""])[0]
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        shown, more = keys[: self.page], len(keys) > self.page
        entries = "".join(self.entry(key, told=asked and not self.silent) for key in shown)
        token = f"<NextContinuationToken>{shown[-1]}</NextContinuationToken>" if more else ""
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}"
        return f"<ListBucketResult {XMLNS}>{truncated}{entries}</ListBucketResult>"

    def entry(self, key, *, told):
        storage_class, restore = self.objects[key]
        status = ""
        if told and restore == ONGOING:
            status = "<IsRestoreInProgress>true</IsRestoreInProgress>"
        elif told and restore:
            date = FUTURE if restore == UNTIL else PAST
            status = (
                "<IsRestoreInProgress>false</IsRestoreInProgress>"
                f"<RestoreExpiryDate>{date}</RestoreExpiryDate>"
            )
        if status:
            status = f"<RestoreStatus>{status}</RestoreStatus>"
        return (
            f"<Contents><Key>{escape(key)}</Key><Size>1000</Size><ETag>x</ETag>"
            f"<StorageClass>{storage_class}</StorageClass>{status}</Contents>"
        )

    def restore(self, key):
        storage_class, restore = self.objects[key]
        if restore == ONGOING:
            return 409, "RestoreAlreadyInProgress"
        if storage_class == "STANDARD":
            return 403, "InvalidObjectState"
        self.objects[key] = storage_class, ONGOING
        return 200 if restore == UNTIL else 202, ""


def handler(bucket):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def say(self, status, body="", **headers):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def do_GET(self):
            bucket.requests.append("list")
            asked = self.headers.get("x-amz-optional-object-attributes") == "RestoreStatus"
            self.say(200, bucket.listing(parse_qs(urlsplit(self.path).query), asked))

        def do_HEAD(self):
            bucket.requests.append("head")
            storage_class, restore = bucket.objects[self.key()]
            more = {"x_amz_restore": restore} if restore else {}
            self.say(200, x_amz_storage_class=storage_class, **more)

        def do_POST(self):
            bucket.requests.append("restore")
            length = int(self.headers["Content-Length"])
            bucket.bodies.append(self.rfile.read(length).decode())
            status, code = bucket.restore(self.key())
            words = f"<Error><Code>{code}</Code><Message>no</Message></Error>" if code else ""
            self.say(status, words)

        def key(self):
            return urlsplit(self.path).path.removeprefix("/box/")

    return Handler


@contextmanager
def served(bucket):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(bucket))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


OBJECTS = {
    "a": ("GLACIER", ""),
    "b": ("DEEP_ARCHIVE", ONGOING),
    "c": ("GLACIER", UNTIL),
    "d": ("GLACIER", LONG_AGO),
    "e": ("GLACIER_IR", ""),
    "f": ("STANDARD", ""),
}
STATES = {
    "a": "offline",
    "b": "staging",
    "c": "restored",
    "d": "offline",
    "e": "online",
    "f": "online",
}


@pytest.fixture(params=[False, True], ids=["telling", "silent"])
def bucket(request):
    return Bucket(dict(OBJECTS), silent=request.param)


@pytest.fixture
def run(bucket, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    def run(*words):
        with served(bucket) as url:
            code = main.main([*words, "s3://box", "--endpoint-url", url])
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("page", [1000, 1])
def test_the_states_are_told_whatever_listings_say(run, bucket, page):
    bucket.page = page
    code, out, _ = run("cold", "ls", "--json")
    assert code == 0
    assert {one["key"]: one["state"] for one in json.loads(out)["objects"]} == STATES


def test_only_what_nobody_has_asked_for_is_asked_for(run, bucket):
    code, out, _ = run("restore", "--days", "5", "--tier", "Bulk", "--description", "why", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["asked"] == {"objects": 2, "bytes": 2000}
    assert [told[state]["objects"] for state in ("online", "staging", "failed")] == [3, 3, 0]
    assert bucket.objects["c"] == ("GLACIER", UNTIL)
    assert all("<Days>5</Days>" in body for body in bucket.bodies)
    assert all("<Tier>Bulk</Tier>" in body for body in bucket.bodies)
    assert all("<Description>why</Description>" in body for body in bucket.bodies)


def test_a_listing_that_tells_spares_all_but_a_few_heads(run, bucket):
    bucket.objects = {f"key{number:03d}": ("GLACIER", "") for number in range(100)}
    bucket.objects |= {f"other{number:03d}": ("GLACIER", ONGOING) for number in range(50)}
    bucket.page = 40
    assert run("cold", "status")[0] == 0
    heads = bucket.requests.count("head")
    assert heads == endpoint._SAMPLE


def test_a_silent_listing_is_found_out_by_the_first_objects(run, bucket):
    bucket.objects = {f"key{number:03d}": ("GLACIER", ONGOING) for number in range(100)}
    code, out, _ = run("cold", "status", "--json")
    assert code == 0
    assert json.loads(out)["staging"]["objects"] == 100
    assert bucket.requests.count("head") == (100 if bucket.silent else 0)


def test_each_is_asked_by_head_when_that_is_wanted(run, bucket):
    bucket.objects = {f"key{number:03d}": ("GLACIER", "") for number in range(50)}
    bucket.objects["zzz"] = ("GLACIER", ONGOING)
    code, out, _ = run("cold", "status", "--head", "--json")
    assert code == 0
    assert json.loads(out)["staging"]["objects"] == 1


def test_without_boto3_the_words_say_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.delitem(sys.modules, "s3filters.commands.endpoint")
    assert main.main(["cold", "ls", "s3://box"]) == 1
    err = capsys.readouterr().err
    assert "pip install 's3filters[client]'" in err
    assert err.count("\n") == 1


def test_a_profile_that_is_not_there_is_exit_code_2(capsys):
    assert main.main(["cold", "ls", "s3://box", "--profile", "no-such-profile"]) == 2
    assert "no-such-profile" in capsys.readouterr().err
