"""PostObject through the whole pipeline: what a form stores, how that is told, what is refused."""

import base64
import hashlib
import hmac
import io
import tracemalloc
from urllib.parse import parse_qs, urlsplit
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as running
from hypothesis import strategies as st

from s3filters.pipeline.s3api import S3api
from tests import forms, wire
from tests.daemon import ACCESS_KEY
from tests.functional import people as words
from tests.functional.asking import HOST, LARGE, SMALL, Asker, body_of, fields, on_disk, told
from tests.functional.people import WRITER

KEY = {"key": "key"}
BOTH = pytest.mark.parametrize("signed", [forms.signed_v4, forms.signed_v2], ids=["v4", "v2"])


@pytest.fixture
def post(ask):
    """Sends a form to the bucket ``box``."""

    def send(said, data=SMALL, target="/box", *, filename="letter.txt", after=b"", **more):
        body = said if isinstance(said, bytes) else forms.form(said, data, filename, after)
        headers = {"Content-Type": forms.TYPE, **more.pop("headers", {})}
        return ask("POST", target, body, headers, sign=False, **more)

    return send


# --- what is stored ----------------------------------------------------------------------------


@BOTH
def test_a_signed_form_stores_its_file(post, s3, box, signed, data):
    answer = post(signed(KEY), data)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["etag"] == f'"{hashlib.md5(data).hexdigest()}"'
    assert answer.headers["location"] == f"http://{HOST}/box/key"
    assert body_of(s3, "key") == data
    head = s3.head_object(Bucket="box", Key="key")
    assert head["ContentType"] == "binary/octet-stream"
    assert head["Metadata"] == {}


def test_a_form_of_boto3_stores_its_file(post, s3, box):
    made = s3.generate_presigned_post("box", "in/${filename}", Fields={"acl": "private"},
                                      Conditions=[{"acl": "private"}])  # fmt: skip
    assert post(made["fields"], filename="C:\\docs\\a.txt").status == 204
    assert body_of(s3, "in/a.txt") == SMALL


def test_an_empty_file_and_a_folder_can_be_stored(post, s3, box):
    assert post(forms.signed_v4(KEY), b"").status == 204
    assert body_of(s3, "key") == b""
    assert post(forms.signed_v4({"key": "folder/"}), b"").status == 204
    assert (box / "folder").is_dir()
    assert told(post(forms.signed_v4({"key": "other/"}))) == (400, "DirectoryObjectContainsData")
    assert not (box / "other").exists()


def test_a_form_replaces_the_object_that_is_there(post, s3, box):
    s3.put_object(Bucket="box", Key="key", Body=LARGE, Metadata={"old": "yes"})
    assert post(forms.signed_v4(KEY)).status == 204
    assert body_of(s3, "key") == SMALL
    assert s3.head_object(Bucket="box", Key="key")["Metadata"] == {}


def test_fields_are_stored_as_headers_of_a_put_are(post, s3, box):
    said = {
        "key": "key",
        "Content-Type": "text/plain",
        "Cache-Control": "no-cache",
        "Content-Disposition": "attachment",
        "Content-Encoding": "gzip",
        "Content-Language": "de",
        "Expires": "Thu, 01 Dec 2033 16:00:00 GMT",
        "x-amz-meta-Colour": "blue",
        "x-amz-meta-with_underscore": "kept",
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-website-redirect-location": "/elsewhere",
    }
    assert post(forms.signed_v4(said)).status == 204
    head = s3.head_object(Bucket="box", Key="key")
    assert head["Metadata"] == {"colour": "blue", "with_underscore": "kept"}
    shown = [head["ContentType"], head["CacheControl"], head["ContentDisposition"]]
    assert shown == ["text/plain", "no-cache", "attachment"]
    assert (head["ContentEncoding"], head["ContentLanguage"]) == ("gzip", "de")
    assert head["StorageClass"] == "STANDARD_IA"
    assert head["WebsiteRedirectLocation"] == "/elsewhere"


def test_headers_of_the_request_are_not_stored(post, s3, box):
    headers = {
        "Cache-Control": "max-age=0",
        "Content-Language": "fr",
        "x-amz-meta-colour": "red",
        "x-amz-acl": "public-read",
        "x-amz-tagging": "a=b",
        "x-amz-storage-class": "NONE",
        "Content-MD5": "AAAA",
    }
    assert post(forms.signed_v4(KEY), headers=headers).status == 204
    head = s3.head_object(Bucket="box", Key="key")
    assert head["Metadata"] == {}
    assert not {"CacheControl", "ContentLanguage", "TagCount"} & head.keys()


def test_the_expected_owner_of_the_request_counts(post, box):
    headers = {"x-amz-expected-bucket-owner": "somebody"}
    assert told(post(forms.signed_v4(KEY), headers=headers)) == (403, "AccessDenied")
    headers = {"x-amz-expected-bucket-owner": ACCESS_KEY}
    assert post(forms.signed_v4(KEY), headers=headers).status == 204


TAGS = (
    "<Tagging><TagSet><Tag><Key>colour</Key><Value>a + b=ü</Value></Tag>"
    "<Tag><Key>size</Key><Value></Value></Tag></TagSet></Tagging>"
)


def test_tags_come_as_a_document(post, s3, box):
    assert post(forms.signed_v4({"key": "key", "tagging": TAGS})).status == 204
    found = s3.get_object_tagging(Bucket="box", Key="key")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in found} == {"colour": "a + b=ü", "size": ""}


@pytest.mark.parametrize("text", ["<Tagging>", "colour=blue", TAGS.replace("size", "colour")])
def test_tags_that_cannot_be_are_refused(post, box, text):
    before = on_disk(box)
    answer = post(forms.signed_v4({"key": "key", "tagging": text}))
    assert answer.status == 400
    assert answer.code in ("MalformedXML", "InvalidTag")
    assert on_disk(box) == before


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_a_checksum_in_a_field_is_proven_and_kept(post, s3, box, algorithm):
    s3.put_object(Bucket="box", Key="other", Body=SMALL, ChecksumAlgorithm=algorithm)
    other = s3.head_object(Bucket="box", Key="other", ChecksumMode="ENABLED")
    right = other[f"Checksum{algorithm}"]
    name = f"x-amz-checksum-{algorithm.lower()}"
    answer = post(forms.signed_v4({"key": "key", name: right}))
    assert (answer.status, answer.headers[name]) == (204, right)
    wrong = forms.signed_v4({"key": "wrong", name: right})
    assert told(post(wrong, b"world")) == (400, "BadDigest")
    assert not (box / "wrong").exists()


def test_a_digest_in_a_field_is_proven(post, box):
    digest = base64.b64encode(hashlib.md5(SMALL).digest()).decode()
    said = {"key": "key", "Content-MD5": digest}
    assert told(post(forms.signed_v4(said), LARGE)) == (400, "BadDigest")
    assert not (box / "key").exists()
    assert post(forms.signed_v4(said)).status == 204


@pytest.mark.parametrize(
    ("filename", "key"),
    [
        ("letter.txt", "in/letter.txt"),
        ("../../../etc/passwd", "in/passwd"),
        ("C:\\\\my docs\\grün.txt", "in/grün.txt"),
        ("${filename}", "in/${filename}"),
    ],
)
def test_the_name_of_the_file_can_stand_in_the_key(post, s3, box, filename, key):
    conditions = [["starts-with", "$key", "in/"]]
    said = forms.signed_v4({"key": "in/${filename}"}, conditions)
    assert post(said, filename=filename).status == 204
    assert body_of(s3, key) == SMALL


def test_the_name_of_the_file_leads_nowhere_else(post, box):
    conditions = [["starts-with", "$key", ""]]
    for filename in ("..", ".", ".sgwtmp", "a\0b"):
        said = forms.signed_v4({"key": "${filename}"}, conditions)
        assert post(said, filename=filename).status in (400, 403)
    assert [path.name for path in box.iterdir() if path.name != ".sgwtmp"] == []


# --- how it is told ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "status"),
    [("200", 200), ("201", 201), ("204", 204), ("404", 204), ("", 204), ("2O1", 204)],
)
def test_success_is_told_with_the_status_that_was_asked_for(post, box, asked, status):
    answer = post(forms.signed_v4({"key": "key", "success_action_status": asked}))
    assert answer.status == status
    assert answer.headers["location"] == f"http://{HOST}/box/key"
    assert bool(answer.body) == (status == 201)


def test_a_201_tells_where_the_object_is(post, box):
    said = {"key": "a b/grün & <.txt", "success_action_status": "201"}
    answer = post(forms.signed_v4(said))
    assert answer.headers["content-type"] == "application/xml"
    root = fromstring(answer.body)
    assert root.tag == "PostResponse"
    etag = f'"{hashlib.md5(SMALL).hexdigest()}"'
    location = f"http://{HOST}/box/a%20b/gr%C3%BCn%20%26%20%3C.txt"
    assert [(child.tag, child.text) for child in root] == [
        ("Location", location),
        ("Bucket", "box"),
        ("Key", "a b/grün & <.txt"),
        ("ETag", etag),
    ]
    assert answer.headers["location"] == location


@pytest.mark.parametrize("name", ["success_action_redirect", "redirect"])
@pytest.mark.parametrize(
    ("url", "begin"),
    [
        ("https://app.example/done", "https://app.example/done?bucket="),
        ("https://app.example/done?a=b#c", "https://app.example/done?a=b&bucket="),
    ],
)
def test_success_is_told_by_sending_the_browser_elsewhere(post, box, name, url, begin):
    said = {"key": "a b", name: url, "success_action_status": "201"}
    answer = post(forms.signed_v4(said))
    assert (answer.status, answer.body) == (303, b"")
    location = answer.headers["location"]
    assert location.startswith(begin)
    asked = parse_qs(urlsplit(location).query)
    etag = f'"{hashlib.md5(SMALL).hexdigest()}"'
    assert (asked["bucket"], asked["key"], asked["etag"]) == (["box"], ["a b"], [etag])


@pytest.mark.parametrize(
    "url", ["/done", "javascript:alert(1)", "https://", "https://a b", "https://[x", "//a/b",
            "https://grün.example/"]
)  # fmt: skip
def test_what_is_no_address_is_as_if_it_were_not_there(post, box, url):
    said = {"key": "key", "success_action_redirect": url, "success_action_status": "200"}
    assert post(forms.signed_v4(said)).status == 200


def test_a_bucket_before_the_host_is_where_the_form_goes(make_app, s3, box):
    ask = Asker(make_app(storage_domain="s3.test"), "box.s3.test")
    body = forms.form(forms.signed_v4(KEY))
    answer = ask("POST", "/", body, {"Content-Type": forms.TYPE}, sign=False)
    assert (answer.status, answer.headers["location"]) == (204, "http://box.s3.test/key")
    assert body_of(s3, "key") == SMALL


# --- what is refused ---------------------------------------------------------------------------


def without(said, name):
    return {key: value for key, value in said.items() if key != name}


SIGNED = forms.signed_v4(KEY)
REFUSED = {  # name -> (form, status, code)
    "another key": (forms.signed_v4({"key": "key"}) | {"key": "other"}, 403, "AccessDenied"),
    "another bucket": (forms.signed_v4(KEY, bucket="other"), 403, "AccessDenied"),
    "an extra field": (SIGNED | {"acl": "public-read"}, 403, "AccessDenied"),
    "an extra field of the service": (SIGNED | {"x-amz-meta-a": "b"}, 403, "AccessDenied"),
    "expired": (forms.signed_v4(KEY, expires_s=-5), 403, "AccessDenied"),
    "another signature": (SIGNED | {"x-amz-signature": "0" * 64}, 403, "SignatureDoesNotMatch"),
    "nobody's key": (forms.signed_v2(KEY, access_key="NO"), 403, "InvalidAccessKeyId"),
    "no signature": (without(SIGNED, "x-amz-signature"), 400, "InvalidArgument"),
    "no policy": (without(SIGNED, "policy"), 400, "InvalidArgument"),
    "no key": (without(SIGNED, "key"), 400, "InvalidArgument"),
    "an empty key": (forms.signed_v4({"key": ""}), 400, "InvalidArgument"),
    "a long key": (forms.signed_v4({"key": "k" * 1025}), 400, "KeyTooLongError"),
    "a key outside": (forms.signed_v4({"key": "../../x"}), 400, "InvalidArgument"),
    "a key of ours": (forms.signed_v4({"key": ".sgwtmp/x"}), 403, "AccessDenied"),
    "NUL in the key": (forms.signed_v4({"key": "a\0b"}), 400, "InvalidArgument"),
    "NUL in a value": (forms.signed_v4({**KEY, "x-amz-meta-a": "\0"}), 400, "InvalidArgument"),
    "a line break": (forms.signed_v4({**KEY, "Content-Type": "a\r\nb: c"}), 400, "InvalidArgument"),
    "much metadata": (forms.signed_v4({**KEY, "x-amz-meta-a": "a" * 2050}), 400,
                      "MetadataTooLarge"),
    "encryption": (forms.signed_v4({**KEY, "x-amz-server-side-encryption": "AES256"}), 501,
                   "NotImplemented"),
    "a key of one's own": (
        forms.signed_v4({**KEY, "x-amz-server-side-encryption-customer-algorithm": "AES256"}), 501,
        "NotImplemented"),
    "a lock": (forms.signed_v4({**KEY, "x-amz-object-lock-legal-hold": "ON"}), 501,
               "NotImplemented"),
    "a class that is none": (forms.signed_v4({**KEY, "x-amz-storage-class": "GOLD"}), 400,
                             "InvalidStorageClass"),
    "a checksum that is none": (forms.signed_v4({**KEY, "x-amz-checksum-crc32": "x"}), 400,
                                "InvalidRequest"),
    "another operation": (forms.signed_v4({**KEY, "x-amz-request-route": "r"}), 501,
                          "NotImplemented"),
}  # fmt: skip


@pytest.mark.parametrize(("said", "status", "code"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_a_form_that_may_not_be_is_refused_and_leaves_nothing(post, box, said, status, code, data):
    before = on_disk(box)
    assert told(post(said, data)) == (status, code)
    assert on_disk(box) == before


@pytest.mark.parametrize(
    ("limits", "code"),
    [((0, 4), "EntityTooLarge"), ((6, 9), "EntityTooSmall"), ((5, 5), None), ((0, 0), None)],
)
@pytest.mark.parametrize("large", [False, True])
def test_the_file_must_be_as_large_as_the_policy_says(post, box, limits, code, large):
    factor, data = (1, SMALL) if not large else (len(LARGE) // 5, LARGE)
    low, high = (limit * factor for limit in limits)
    said = forms.signed_v4(KEY, [KEY, ["content-length-range", low, high]])
    before = on_disk(box)
    answer = post(said, data if limits != (0, 0) else b"")
    if code is None:
        assert answer.status == 204
        return
    assert told(answer) == (400, code)
    assert on_disk(box) == before


NO_DOCUMENTS = {
    "no JSON": b"{",
    "no conditions": b'{"expiration": "2999-01-01T00:00:00Z"}',
    "no expiration": b'{"conditions": []}',
    "a condition that is none": b'{"expiration": "2999-01-01T00:00:00Z", "conditions": [{}]}',
}


@pytest.mark.parametrize("document", NO_DOCUMENTS.values(), ids=NO_DOCUMENTS)
def test_a_policy_that_is_none_is_refused(post, ask, box, document):
    policy = base64.b64encode(document).decode()
    digest = hmac.digest(ask.signer.secret_key.encode(), policy.encode(), "sha1")
    said = {"AWSAccessKeyId": ACCESS_KEY, "signature": base64.b64encode(digest).decode()}
    answer = post({**KEY, "policy": policy, **said})
    assert told(answer) == (400, "InvalidPolicyDocument")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\r\n", "MalformedPOSTRequest"),
        (b"hello", "MalformedPOSTRequest"),
        (forms.form(SIGNED)[:-10], "MalformedPOSTRequest"),
        (forms.form(SIGNED, LARGE)[:-10], "MalformedPOSTRequest"),
        (forms.form(SIGNED, b"a\r\n--" + forms.BOUNDARY.encode() + b"b"), "MalformedPOSTRequest"),
        (forms.form(SIGNED, None), "InvalidArgument"),
        (forms.form([*SIGNED.items(), ("key", "two")]), "InvalidArgument"),
        (forms.form(SIGNED | {"x-ignore-a": "a" * 21_000}), "MaxPostPreDataLengthExceededError"),
        (forms.form(SIGNED) + b"x" * 30_000, "MaxMessageLengthExceeded"),
    ],
    ids=range(9),
)
def test_what_is_no_form_is_refused_and_leaves_nothing(post, box, body, code):
    before = on_disk(box)
    assert told(post(body)) == (400, code)
    assert on_disk(box) == before


def test_a_form_that_is_cut_off_leaves_nothing(post, box):
    before = on_disk(box)
    body = forms.form(SIGNED, LARGE)
    assert told(post(body[:-5000], length=len(body))) == (400, "IncompleteBody")
    assert on_disk(box) == before


def test_fields_after_the_file_say_nothing(post, s3, box):
    after = forms.part("acl", "public-read") + forms.part("key", "other")
    assert post(SIGNED, after=after).status == 204
    assert [path.name for path in box.iterdir() if path.name != ".sgwtmp"] == ["key"]


def test_fields_that_are_to_be_ignored_are(post, s3, box):
    said = forms.signed_v4(KEY) | {"x-ignore-anything": "at all"}
    assert post(said).status == 204


def test_a_post_that_is_no_form_is_refused(ask, box):
    answer = ask("POST", "/box", b"key=k", {"Content-Type": "application/x-www-form-urlencoded"})
    assert told(answer) == (412, "PreconditionFailed")


def test_a_form_without_a_boundary_is_refused(post, box):
    answer = post(SIGNED, headers={"Content-Type": "multipart/form-data"})
    assert told(answer) == (400, "MalformedPOSTRequest")


def test_a_form_that_a_header_signs_is_refused(ask, box):
    body = forms.form(KEY)
    answer = ask("POST", "/box", body, {"Content-Type": forms.TYPE})
    assert told(answer) == (400, "InvalidRequest")


def test_a_form_to_a_bucket_that_is_not_there_is_refused(post, box):
    said = forms.signed_v4(KEY, bucket="nowhere")
    assert told(post(said, target="/nowhere")) == (404, "NoSuchBucket")


def test_an_object_cannot_be_posted_to(post, box):
    assert post(SIGNED, target="/box/key").status in (400, 405)
    assert not (box / "key").exists()


def test_the_pages_of_a_refusal_tell_which_field(post, box):
    answer = post(without(SIGNED, "key"))
    assert fields(answer)["ArgumentName"] == "key"
    answer = post(SIGNED | {"colour": "red", "size": "1"})
    assert fields(answer)["Message"] == (
        "Invalid according to Policy: Extra input fields: colour, size"
    )


# --- hostile bytes ------------------------------------------------------------------------------

GOOD = forms.form(forms.signed_v4({"key": "key", "x-amz-meta-a": "b"}), b"hello")
WORDS = [
    b"\r\n", b"\n", b"\0", b"--", b";", b'"', b"=", b"\xff", b"--" + forms.BOUNDARY.encode(),
    b"\r\n--" + forms.BOUNDARY.encode() + b"\r\n", b"name=", b'filename="', b"\r\n\r\n",
    b"a" * 9000, forms.part("key", "other"), forms.part("file", "two"), forms.end(),
    b"Content-Disposition: ",
]  # fmt: skip


@given(
    cuts=st.lists(
        st.tuples(st.integers(0, len(GOOD)), st.integers(0, 40), st.sampled_from([b"", *WORDS])),
        min_size=1,
        max_size=4,
    )
)
@running(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_form_fails_or_leaves_anything_but_an_object(post, box, cuts):
    body = GOOD
    for at, gone, word in cuts:
        body = body[:at] + word + body[at + gone :]
    answer = post(body)
    assert answer.status in (204, 400, 403, 411, 501), answer.body
    assert answer.status == 204 or answer.code
    hidden = {path.name for path in (box / ".sgwtmp").rglob("*")}
    assert {name for name in hidden if not name.startswith("lock")} == set()
    assert {path.name for path in box.iterdir()} <= {".sgwtmp", "key"}


# --- who may -----------------------------------------------------------------------------------


@pytest.fixture
def owned(people, root):
    """The folder of the bucket ``box`` of ``owner``, where ACLs count."""
    header = {"x-amz-object-ownership": WRITER}
    assert people("owner", "PUT", "/box", b"", header).status == 200
    return root / "box"


def sent(people, said, data=SMALL):
    ask = Asker(people.app)
    headers = {"Content-Type": forms.TYPE}
    return ask("POST", "/box", forms.form(said, data), headers, sign=False)


def signed_by(name, said=KEY, **more):
    return forms.signed_v4(said, access_key=words.key_of(name), secret_key=name * 8, **more)


def test_a_form_may_do_what_its_signer_may(people, owned):
    assert sent(people, signed_by("owner")).status == 204
    assert sent(people, signed_by("boss")).status == 204
    assert told(sent(people, signed_by("eve"))) == (403, "AccessDenied")


def test_an_anonymous_form_is_denied_where_nothing_lets_it_in(people, owned):
    before = on_disk(owned)
    assert told(sent(people, KEY)) == (403, "AccessDenied")
    assert on_disk(owned) == before


def test_an_anonymous_form_is_taken_where_everyone_may_write(people, owned):
    answer = people("owner", "PUT", "/box?acl", b"", {"x-amz-acl": "public-read-write"})
    assert answer.status == 200, answer.body
    assert sent(people, {"key": "in/${filename}"}).status == 204
    assert (owned / "in" / "letter.txt").read_bytes() == SMALL


def test_the_acl_of_a_form_is_the_objects(people, owned):
    assert sent(people, signed_by("owner", {"key": "key", "acl": "public-read"})).status == 204
    assert people(None, "GET", "/box/key").body == SMALL
    assert sent(people, signed_by("owner", {"key": "other"})).status == 204
    assert people(None, "GET", "/box/other").status == 403
    wrong = signed_by("owner", {"key": "third", "acl": "public"})
    assert told(sent(people, wrong)) == (400, "InvalidArgument")


def test_a_pipeline_that_knows_no_signatures_takes_forms_of_everyone(people, owned):
    answer = people("owner", "PUT", "/box?acl", b"", {"x-amz-acl": "public-read-write"})
    assert answer.status == 200
    people.app = people.app.app
    while not isinstance(people.app, S3api):
        people.app = people.app.app
    assert sent(people, {"key": "key", "Content-Type": "text/plain"}, LARGE).status == 204
    assert (owned / "key").read_bytes() == LARGE
    assert told(sent(people, {"acl": "private"})) == (400, "InvalidArgument")
    assert told(sent(people, signed_by("eve", {"key": "other"}))) == (204, "")


# --- memory ------------------------------------------------------------------------------------


def test_a_large_file_is_never_held(app, s3, box):
    size = 48 << 20
    whole = forms.form(forms.signed_v4(KEY), b"")
    cut = whole.rindex(b"\r\n--" + forms.BOUNDARY.encode())
    head, tail = io.BytesIO(whole[:cut]), io.BytesIO(whole[cut:])

    class Large:
        left = size

        def readinto(self, view):
            count = head.readinto(view)
            if not count and self.left:
                count = min(self.left, len(view))
                view[:count] = bytes(count)
                self.left -= count
            return count or tail.readinto(view)

    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/box",
        "QUERY_STRING": "",
        "HTTP_HOST": HOST,
        "CONTENT_TYPE": forms.TYPE,
        "CONTENT_LENGTH": str(len(whole) + size),
        "wsgi.input": Large(),
        "wsgi.url_scheme": "http",
    }
    tracemalloc.start()
    try:
        status, _, _ = wire.call(app, environ)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert status == 204
    assert (box / "key").stat().st_size == size
    assert peak < 16 << 20
