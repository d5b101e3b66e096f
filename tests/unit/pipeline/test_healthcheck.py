import pytest
from webtest import TestApp

from s3filters import options
from s3filters.pipeline import healthcheck


def below(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"below"] if environ["REQUEST_METHOD"] != "HEAD" else []


def client(**conf):
    return TestApp(healthcheck.filter_factory({}, **conf)(below))


def test_its_path_answers_ok():
    answer = client().get("/healthz")
    assert (answer.status_int, answer.body, answer.content_type) == (200, b"ok", "text/plain")
    assert client().head("/healthz").headers["Content-Length"] == "2"


def test_other_paths_and_methods_pass_through():
    for path in ("/", "/healthz/", "/bucket/healthz"):
        assert client().get(path, status=404).body == b"below"
    assert client().put("/healthz", status=404).body == b"below"


def test_a_signed_request_is_for_the_bucket_of_that_name():
    headers = {"Authorization": "AWS4-HMAC-SHA256 ..."}
    assert client().get("/healthz", headers=headers, status=404).body == b"below"


def test_the_path_can_be_chosen():
    assert client(path="/-/alive").get("/-/alive").body == b"ok"
    for path in ("alive", "/"):
        with pytest.raises(options.OptionError):
            client(path=path)


def test_every_answer_is_its_own():
    app = client()
    app.get("/healthz").headers["Content-Length"] = "99"
    assert app.get("/healthz").headers["Content-Length"] == "2"
