"""Every operation of the routing table, asked by whoever was granted nothing.

A row of the table becomes a request that a client of its operation would send. The test does not
know which operations there are, so one that is added is asked too.
"""

import base64
import hashlib
import hmac
import json
import time
from types import SimpleNamespace

import pytest
from paste.deploy import loadapp

from s3filters.s3 import address, table
from s3filters.s3.operations import ROWS
from s3filters.s3.row import MUST
from tests import daemon
from tests.functional import people as words
from tests.functional.asking import document, on_disk
from tests.functional.conftest import INI
from tests.functional.people import ENFORCED, WRITER, People, configure, only, policy

DENIED = (403, "AccessDenied")
STRANGERS = ("bob", None)
DELETE = b"<Delete><Object><Key>key</Key></Object><Object><Key>missing</Key></Object></Delete>"
TAGGING = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
BODIES = {"DeleteObjects": DELETE, "PutObjectTagging": TAGGING}  # which are read first
HEADERS = {
    "GetObjectAttributes": {"x-amz-object-attributes": "ETag"},
}
BY_HEADER = {
    "HTTP_X_AMZ_COPY_SOURCE": ("x-amz-copy-source", "/box/key"),
    "HTTP_X_AMZ_REQUEST_ROUTE": ("x-amz-request-route", "route"),
}
SETTINGS = {
    "owner enforced": {"ownership": ENFORCED},
    "with ACLs": {"ownership": WRITER},
    "with a policy": {
        "ownership": ENFORCED,
        "policy": policy({"Principal": only("eve"), "Resource": ["", "/*"]}),
    },
    "with both": {
        "ownership": WRITER,
        "policy": policy({"Principal": only("eve"), "Resource": ["", "/*"]}),
    },
}


def place_of(folder):
    """A pipeline over a root with a bucket of ``owner``: an object, a directory, an upload."""
    root = folder / "root"
    root.mkdir()
    credentials = daemon.credentials(folder)
    words.write(credentials)
    settings = {"root": str(root), "credentials": str(credentials), "durability": "none"}
    people = People(loadapp(f"config:{INI}", global_conf=settings))
    for bucket in ("box", "bobs"):
        assert people("owner", "PUT", f"/{bucket}").status == 200
    assert people("owner", "PUT", "/box/key", b"hello", {"x-amz-tagging": "a=b"}).status == 200
    configure(root / "bobs", owner="bob")
    upload = document(people("owner", "POST", "/box/key?uploads")).findtext("UploadId")
    target = f"/box/key?partNumber=1&uploadId={upload}"
    assert people("owner", "PUT", target, b"part").status == 200
    return SimpleNamespace(root=root, people=people, upload=upload)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return place_of(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Another such place, where things may change."""
    return place_of(tmp_path_factory.mktemp("home"))


@pytest.fixture(params=SETTINGS, ids=[name.replace(" ", "-") for name in SETTINGS])
def setting(request, place):
    configure(place.root / "box", policy=None)
    configure(place.root / "box", **SETTINGS[request.param])
    return request.param


def query_of(row, upload):
    """The words that choose the row, with values where it takes some."""
    values = {"uploadId": upload, "partNumber": "1", "id": "some", "annotationName": "some"}
    values["select-type"] = "2"
    return "&".join(
        f"{word}={values[word]}" if word in values else word for word in row.words
    )  # fmt: skip


def request_of(row, upload):
    """Method, target, body and headers of a request for the row's operation."""
    path = {"service": "/", "bucket": "/box", "object": "/box/key"}[row.level]
    if row.name == "CreateBucket":
        path = "/new"
    query = query_of(row, upload)
    headers = dict(HEADERS.get(row.name, {}))
    if row.header is not None:
        name, value = BY_HEADER[row.header]
        headers[name] = value
    if row.method == "OPTIONS":
        headers |= {"Origin": "http://web.test", "Access-Control-Request-Method": "GET"}
    body = BODIES.get(row.name, b"")
    if not body:
        body = {"data": b"intruder", "document": b"<Any/>"}.get(row.body, b"")
    if row.name == "CreateBucket":
        body = b""
    if row.proof == MUST:
        headers["Content-MD5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
    return row.method, f"{path}?{query}" if query else path, body, headers


def routed(method, target, headers):
    path, _, query = target.partition("?")
    level = ("service", "bucket", "object")[min(2, len([p for p in path.split("/") if p]))]
    environ = {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in headers.items()}
    return table.route(method, level, address.query(query), environ)[0].name


FORMED = [row for row in ROWS if row.body == "form"]  # asked below: a form signs itself
ASKED = [row for row in ROWS if row not in FORMED]


@pytest.mark.parametrize("row", ASKED, ids=lambda row: row.name)
def test_the_request_made_of_a_row_is_routed_to_it(row):
    method, target, _, headers = request_of(row, "11111111-1111-4111-8111-111111111111")
    assert routed(method, target, headers) == row.name


@pytest.mark.parametrize("who", STRANGERS, ids=["signed", "anonymous"])
@pytest.mark.parametrize("row", ASKED, ids=lambda row: row.name)
def test_a_stranger_is_denied_every_operation_and_changes_nothing(place, setting, row, who):
    before = on_disk(place.root)
    method, target, body, headers = request_of(row, place.upload)
    answer = place.people(who, method, target, body, headers)
    assert on_disk(place.root) == before
    if row.name == "ListBuckets" and who is not None:
        assert [one.text for one in document(answer).iter("Name")] == ["bobs"]
    elif row.name == "DeleteObjects" and answer.status == 200:
        assert "policy" in setting or "both" in setting  # then it is decided for each key
        errors = document(answer)
        assert [one.text for one in errors.iter("Code")] == ["AccessDenied"] * 2
        assert not list(errors.iter("Deleted"))
    elif row.method == "HEAD":
        assert (answer.status, answer.body) == (403, b"")
    elif row.method == "OPTIONS":
        assert answer.status == 403
    else:
        assert (answer.status, answer.code) == DENIED


@pytest.mark.parametrize(
    "row", [row for row in ASKED if row.method != "OPTIONS"], ids=lambda row: row.name
)
def test_the_owner_and_administrators_are_denied_nothing(home, row):
    method, target, body, headers = request_of(row, home.upload)
    for who in ("plain", "boss", "owner"):
        answer = home.people(who, method, target, body, headers)
        if row.level != "service" or row.name == "ListBuckets" or who != "owner":
            assert answer.status != 403, who


@pytest.mark.parametrize("words_of", ["partNumber=1&uploadId={0}", ""])
@pytest.mark.parametrize("source", ["/box/key", "/box/missing", "/box/key?versionId=null"])
def test_a_stranger_takes_nothing_into_a_bucket_of_his_own(place, setting, source, words_of):
    target = "/bobs/new"
    if words_of:
        begun = place.people("bob", "POST", "/bobs/new?uploads")
        target += "?" + words_of.format(document(begun).findtext("UploadId"))
    before = on_disk(place.root)
    answer = place.people("bob", "PUT", target, headers={"x-amz-copy-source": source})
    assert (answer.status, answer.code) == DENIED
    assert on_disk(place.root) == before


def test_a_stranger_puts_nothing_of_his_own_into_the_bucket(place, setting):
    assert place.people("bob", "PUT", "/bobs/mine", b"1").status == 200
    before = on_disk(place.root)
    for target in ("/box/key", "/box/new", f"/box/key?partNumber=1&uploadId={place.upload}"):
        copy = {"x-amz-copy-source": "/bobs/mine"}
        answer = place.people("bob", "PUT", target, headers=copy)
        assert (answer.status, answer.code) == DENIED
    assert on_disk(place.root) == before


def form(**fields):
    """A form with a file; the body and its type."""
    lines = [
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields.items()
    ]
    lines.append('--edge\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n')
    body = "".join(lines).encode() + b"intruder\r\n--edge--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=edge"}


def signed_form(signer, bucket, key):
    """The fields that sign a form for one key, with signature V4."""
    now = time.gmtime()
    stamp = time.strftime("%Y%m%dT%H%M%SZ", now)
    scope = f"{stamp[:8]}/{signer.region}/s3/aws4_request"
    fields = {
        "key": key,
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{signer.access_key}/{scope}",
        "x-amz-date": stamp,
    }
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    conditions = [{"bucket": bucket}, *({name: text} for name, text in fields.items())]
    document_ = json.dumps({"expiration": end, "conditions": conditions})
    text = base64.b64encode(document_.encode()).decode()
    signature = hmac.new(signer.key(stamp[:8]), text.encode(), hashlib.sha256).hexdigest()
    return {**fields, "policy": text, "x-amz-signature": signature}


@pytest.mark.parametrize("row", FORMED, ids=lambda row: row.name)
@pytest.mark.parametrize("key", ["key", "new"])
def test_a_stranger_is_denied_a_form(place, setting, row, key):
    before = on_disk(place.root)
    signer = place.people.signer("bob")
    for fields in ({"key": key}, signed_form(signer, "box", key)):
        body, headers = form(**fields)
        answer = place.people(None, row.method, "/box", body, headers)
        assert (answer.status, answer.code) == DENIED
    assert on_disk(place.root) == before


def test_whoever_may_write_may_send_a_form(tmp_path):
    home = place_of(tmp_path)
    configure(home.root / "box", policy=policy({"Action": "s3:PutObject", "Resource": "/public-*"}))
    for who, key, outcome in (
        ("owner", "signed", (204, "")),
        ("bob", "public-signed", (204, "")),
        ("bob", "signed", DENIED),
        (None, "public-anonymous", (204, "")),
        (None, "anonymous", DENIED),
    ):
        fields = {"key": key}
        if who is not None:
            fields = signed_form(home.people.signer(who), "box", key)
        body, headers = form(**fields)
        answer = home.people(None, "POST", "/box", body, headers)
        assert (answer.status, answer.code) == outcome, (who, key)
        if outcome != DENIED:
            assert home.people("owner", "GET", f"/box/{key}").body == b"intruder"
