"""cors alone: where rules come from, what is read when, and rules for the whole gateway."""

import pytest

from s3filters import options
from s3filters.pipeline import cors
from s3filters.s3.call import KEY, Call
from s3filters.s3.errors import S3Error
from tests.wire import call

ORIGIN = "https://app.example"
RULES = (
    b"<CORSConfiguration><CORSRule><AllowedOrigin>https://app.example</AllowedOrigin>"
    b"<AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
)


class Record:
    def __init__(self, **settings):
        self.settings = settings


class Below:
    """The rest of the pipeline: an app that knows buckets, behind one that does not."""

    def __init__(self, error=None):
        self.buckets = {"shared": Record(cors=RULES), "plain": Record(), "none": Record(cors=b"")}
        self.asked = []
        self.seen = []
        self._error = error

    def bucket_facts(self, bucket):
        self.asked.append(bucket)
        if self._error is not None:
            raise S3Error(self._error)
        if bucket not in self.buckets:
            raise S3Error("NoSuchBucket")
        return self.buckets[bucket]

    def __call__(self, environ, start_response):
        self.seen.append(start_response)
        if "call" in environ:
            environ[KEY] = environ["call"]
        start_response("200 OK", [("ETag", '"e"')])
        return [b"below"]


class Between:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        return self.app(environ, start_response)


def ask(below, path, method="GET", ini=None, **environ):
    app = cors.filter_factory({}, **(ini or {}))(Between(below))
    headers = {f"HTTP_{name.upper()}": value for name, value in environ.items() if name != "call"}
    if "call" in environ:
        headers["call"] = environ["call"]
    made = {"REQUEST_METHOD": method, "PATH_INFO": path, **headers}
    status, headers, body = call(app, made)
    assert body == b"below" or method == "OPTIONS"
    return status, dict(headers)


def preflight(below, path, origin=ORIGIN, method="PUT", **more):
    return ask(
        below,
        path,
        "OPTIONS",
        origin=origin,
        access_control_request_method=method,
        access_control_request_headers="x-amz-date, authorization",
        **more,
    )


ALL = {"allow_origin": f"{ORIGIN}, https://*.tools.example"}


def test_a_request_without_an_origin_is_passed_on_as_it_came():
    below = Below()
    started = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/shared/key"}
    start = started.append
    cors.filter_factory({})(below)(environ, lambda *args: start(args))
    assert below.asked == []
    assert started == [("200 OK", [("ETag", '"e"')])]


def test_a_record_that_acl_has_read_is_not_read_again():
    below = Below()
    made = Call("GetObject", "shared", "key", bucket_record=below.buckets["shared"])
    _, headers = ask(below, "/shared/key", origin=ORIGIN, call=made)
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert below.asked == []


@pytest.mark.parametrize("made", [None, Call("GetObject", "shared", "key")])
def test_without_acl_and_before_it_the_record_is_read_once(made):
    below = Below()
    more = {} if made is None else {"call": made}
    _, headers = ask(below, "/shared/key", origin=ORIGIN, **more)
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert headers["ETag"] == '"e"'
    assert below.asked == ["shared"]


@pytest.mark.parametrize("error", ["SlowDown", "InternalError", "NoSuchBucket"])
def test_what_cannot_be_read_changes_no_answer(error):
    assert ask(Below(error), "/shared/key", origin=ORIGIN) == (200, {"ETag": '"e"'})


def test_what_cannot_be_read_is_the_answer_of_a_preflight():
    assert preflight(Below("SlowDown"), "/shared/key")[0] == 503


def test_a_path_that_is_none_changes_no_answer():
    assert ask(Below(), "/shared/\xff", origin=ORIGIN) == (200, {"ETag": '"e"'})


def test_an_answer_that_is_begun_anew_gets_the_headers_too():
    def below(environ, start_response):
        start_response("200 OK", [])
        start_response("500 Oops", [], (None, None, None))
        return [b"below"]

    below.bucket_facts = Below().bucket_facts
    _, headers = ask(below, "/shared/key", origin=ORIGIN)
    assert headers["Access-Control-Allow-Origin"] == ORIGIN


def test_before_an_app_that_knows_no_buckets_nobody_is_let_in():
    def below(environ, start_response):
        start_response("200 OK", [])
        return [b"below"]

    assert preflight(below, "/shared/key", method="GET")[0] == 403
    assert ask(below, "/shared/key", origin=ORIGIN) == (200, {})


# --- allow_origin ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/plain", "/plain/key", "/nowhere", "/No Bucket!"])
@pytest.mark.parametrize("origin", [ORIGIN, "https://a.tools.example"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
def test_the_gateways_origins_may_send_everything_where_no_rules_are(path, origin, method):
    status, headers = preflight(Below(), path, origin, method, ini=ALL)
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] == origin
    assert headers["Access-Control-Allow-Headers"] == "x-amz-date, authorization"
    _, headers = ask(Below(), path, method, ini=ALL, origin=origin)
    assert headers["Access-Control-Allow-Origin"] == origin
    assert {"ETag", "x-amz-checksum-crc64nvme"} <= set(
        headers["Access-Control-Expose-Headers"].split(", ")
    )


@pytest.mark.parametrize("path", ["/shared", "/shared/key", "/none", "/none/key"])
def test_a_buckets_own_rules_stand_in_their_place(path):
    assert preflight(Below(), path, ini=ALL)[0] == 403
    assert preflight(Below(), path, "https://a.tools.example", "GET", ini=ALL)[0] == 403


def test_other_origins_are_not_let_in():
    status, headers = preflight(Below(), "/plain", "https://other.example", ini=ALL)
    assert status == 403
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("text", ["https://*.*", "https://a https://b"])
def test_origins_that_are_none_are_refused_at_the_start(text):
    with pytest.raises(options.OptionError, match="allow_origin"):
        cors.filter_factory({}, allow_origin=text)
