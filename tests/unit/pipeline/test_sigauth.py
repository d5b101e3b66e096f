"""sigauth as a filter: what goes on behind it, and what it answers itself."""

import json
import os

import pytest

from s3filters.options import OptionError
from s3filters.pipeline.sigauth import filter_factory
from s3filters.s3.call import IDENTITY
from tests.unit.sign.signing import KEY, SECRET, environ_of, signed


class Behind:
    """What stands behind the filter: keeps the environ."""

    environ = None

    def __call__(self, environ, start_response):
        self.environ = environ
        start_response("200 OK", [])
        return [b"behind"]


@pytest.fixture
def behind():
    return Behind()


@pytest.fixture
def app(tmp_path, behind):
    path = tmp_path / "keys"
    path.write_text(json.dumps({"access_key": KEY, "secret_key": SECRET}))
    path.chmod(0o600)
    return filter_factory({"credentials": str(path), "root": "/x"})(behind)


def call(app, environ):
    """Return status and body."""
    answer = []
    body = b"".join(app(environ, lambda status, headers: answer.append((status, headers))))
    return answer[0][0], body


@pytest.mark.parametrize("kind", ["v4", "v4 query", "v2", "v2 query"])
def test_a_signed_request_goes_on_with_its_identity(app, behind, kind):
    assert call(app, signed(kind)) == ("200 OK", b"behind")
    assert behind.environ[IDENTITY].access_key == KEY


def test_an_anonymous_request_goes_on_without_one(app, behind):
    environ = environ_of("PUT", "/b/k", [("Host", "h"), ("Content-Length", "2")], b"hi")
    assert call(app, environ)[0] == "200 OK"
    assert behind.environ[IDENTITY] is None
    assert behind.environ["wsgi.input"].read(10) == b"hi"


def test_a_signed_body_proves_itself_while_it_is_read(app, behind):
    assert call(app, signed("v4", "PUT", body=b"hello"))[0] == "200 OK"
    assert behind.environ["wsgi.input"].read(10) == b"hello"


def test_a_refusal_is_answered_in_s3s_words(app, behind):
    environ = signed("v4") | {"REQUEST_METHOD": "PUT"}
    status, body = call(app, environ)
    assert status == "403 Forbidden"
    assert b"<Code>SignatureDoesNotMatch</Code>" in body
    assert SECRET.encode() not in body
    assert behind.environ is None


def test_a_refused_request_never_has_its_body_read(app):
    class Unread:
        def readinto(self, view):
            raise AssertionError

        read = readinto

    environ = signed("v4", "PUT", body=b"x") | {"wsgi.input": Unread(), "HTTP_X_AMZ_DATE": ""}
    assert call(app, environ)[0] == "403 Forbidden"


def test_headers_of_a_presigned_url_are_shown_behind(app, behind):
    environ = signed("v4 query", "PUT", target="/b/k?x-amz-meta-a=1&x-amz-acl=private")
    assert call(app, environ)[0] == "200 OK"
    assert behind.environ["HTTP_X_AMZ_META_A"] == "1"
    assert ("x-amz-acl", "private") in behind.environ["headers_raw"]


def test_headers_in_the_query_of_another_request_are_no_headers(app, behind):
    assert call(app, signed("v4", target="/b/k?x-amz-acl=private"))[0] == "200 OK"
    assert call(app, environ_of("GET", "/b/k?x-amz-acl=private", [("Host", "h")]))[0] == "200 OK"
    assert "HTTP_X_AMZ_ACL" not in behind.environ


def test_a_client_cannot_set_the_identity(app, behind):
    environ = environ_of("GET", "/", [("Host", "h"), ("s3filters.identity", "root")])
    call(app, environ | {IDENTITY: "root"})
    assert behind.environ[IDENTITY] is None


def test_pairs_of_the_environment_may_sign(monkeypatch, behind):
    monkeypatch.setenv("CURVINE_ACCESS_KEY", KEY)
    monkeypatch.setenv("CURVINE_SECRET_KEY", SECRET)
    app = filter_factory({"credentials": os.devnull})(behind)
    assert call(app, signed("v4"))[0] == "200 OK"


def test_options_reach_the_rules(monkeypatch, behind):
    monkeypatch.setenv("S3_ACCESS_KEY", KEY)
    monkeypatch.setenv("S3_SECRET_KEY", SECRET)
    shared = {"credentials": "", "region": "eu-north-1", "storage_domain": "s3.test"}
    own = {"clock_skew": "60", "max_presigned_seconds": "59", "allow_v2": "no"}
    app = filter_factory(shared, **own)(behind)
    assert b"<Region>eu-north-1</Region>" in call(app, signed("v4"))[1]
    assert b"InvalidRequest" in call(app, signed("v2"))[1]
    app = filter_factory(shared | {"region": "us-east-1"}, max_presigned_seconds="59")(behind)
    assert b"less than 59 seconds" in call(app, signed("v4 query"))[1]


def test_a_bucket_in_the_host_is_part_of_a_version_2_signature(monkeypatch, behind):
    monkeypatch.setenv("S3_ACCESS_KEY", KEY)
    monkeypatch.setenv("S3_SECRET_KEY", SECRET)
    app = filter_factory({"credentials": "", "storage_domain": "S3.test., other"})(behind)
    environ = signed("v2", target="/photos/key", endpoint="http://s3.test")
    environ |= {"HTTP_HOST": "photos.s3.test:80", "RAW_PATH_INFO": "/key"}
    environ["headers_raw"][0] = ("Host", "photos.s3.test:80")
    assert call(app, environ)[0] == "200 OK"


@pytest.mark.parametrize(
    "own",
    [{"allow_v2": "maybe"}, {"clock_skew": "-1"}, {"max_presigned_seconds": "0"}, {"region": "x"}],
)
def test_an_option_that_cannot_be_used_is_an_error(own):
    with pytest.raises(OptionError):
        filter_factory({}, **own)
