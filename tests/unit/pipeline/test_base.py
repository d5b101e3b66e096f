from typing import ClassVar

from s3filters.pipeline.base import Filter
from s3filters.s3.call import KEY, Call
from s3filters.s3.errors import S3Error
from s3filters.s3.reply import Reply


class Example(Filter):
    gates: ClassVar = {"*": "look", "GetObject": "gate"}
    answers: ClassVar = {"PutObject": "put", "DeleteObject": "refuse"}

    def look(self, call):
        call.params["looked"] = True

    def gate(self, call):
        if call.key == "secret":
            raise S3Error("AccessDenied")

    def put(self, call):
        return Reply(200, [], b"put")

    def refuse(self, call):
        raise S3Error("MethodNotAllowed")


def below(environ, start_response):
    start_response("200 OK", [])
    return [b"below"]


def ask(operation, key=None):
    seen = []
    call = Call(operation, "bucket", key)
    environ = {"REQUEST_METHOD": "GET", KEY: call}
    body = Example(below)(environ, lambda *answer: seen.append(answer))
    return seen[0][0], b"".join(body), call


def test_a_gate_lets_through_or_refuses():
    assert ask("GetObject", "open")[:2] == ("200 OK", b"below")
    assert ask("GetObject", "secret")[0] == "403 Forbidden"


def test_an_answer_is_given_or_refused():
    assert ask("PutObject")[:2] == ("200 OK", b"put")
    assert ask("DeleteObject")[0] == "405 Method Not Allowed"


def test_a_star_gates_every_operation():
    for operation in ("PutObject", "ListBuckets"):
        assert ask(operation)[2].params == {"looked": True}


def test_a_request_without_a_call_is_not_ours():
    assert Example(below)({"REQUEST_METHOD": "GET"}, lambda *answer: None) == [b"below"]


def test_a_filter_that_has_nothing_for_an_operation_is_passed_by():
    asked = []

    class Quiet(Filter):
        gates: ClassVar = {"GetObject": "note"}

        def note(self, call):
            asked.append(call.operation)

        def __call__(self, environ, start_response):
            asked.append("called")
            return super().__call__(environ, start_response)

    chain = Example(Quiet(below))
    for operation in ("HeadObject", "GetObject", "HeadObject"):
        call = Call(operation, "bucket", "key")
        assert chain({"REQUEST_METHOD": "GET", KEY: call}, lambda *answer: None) == [b"below"]
    assert asked == ["called", "GetObject"]
