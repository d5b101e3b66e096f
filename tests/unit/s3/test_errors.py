import os
import re
from xml.etree import ElementTree

import pytest

from s3filters.s3.errors import CODES, S3Error, host_id
from s3filters.s3.reply import STATUS_LINES


def answer(error, method="GET", path="/bucket/key", **more):
    seen = {}

    def start_response(status, headers):
        seen.update(status=status, headers=headers)

    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "s3filters.request_id": "0123456789ABCDEF",
    }
    seen["body"] = b"".join(error({**environ, **more}, start_response))
    return seen


def test_an_error_is_answered_as_the_document_of_s3():
    got = answer(S3Error("NoSuchKey", Key="key"))
    assert got["status"] == "404 Not Found"
    assert got["body"].decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>"
        "<Key>key</Key><Resource>/bucket/key</Resource><RequestId>0123456789ABCDEF</RequestId>"
        f"<HostId>{host_id('0123456789ABCDEF')}</HostId></Error>"
    )
    assert got["headers"] == [
        ("Content-Type", "application/xml"),
        ("Content-Length", str(len(got["body"]))),
    ]


def test_a_head_request_gets_no_document():
    got = answer(S3Error("NoSuchKey"), method="HEAD")
    assert (got["status"], got["body"]) == ("404 Not Found", b"")
    assert "Content-Length" not in dict(got["headers"])


def test_not_modified_has_its_headers_and_nothing_else():
    got = answer(S3Error("NotModified", headers=[("ETag", '"x"')]))
    assert got == {"status": "304 Not Modified", "headers": [("ETag", '"x"')], "body": b""}


def test_a_detail_of_none_is_left_out_and_others_keep_their_order():
    document = S3Error("InvalidArgument", "No.", B="2", A=1, C=None).document({})
    assert b"<Message>No.</Message><B>2</B><A>1</A><Resource>" in document


@pytest.mark.parametrize("text", ["a<b>&c", "nul\0 bell\a", "lone \udcff", "cr\rlf\n", "\ufffe"])
def test_no_text_makes_a_document_that_cannot_be_parsed(text):
    document = S3Error("InvalidArgument", text, ArgumentValue=text).document(
        {"PATH_INFO": "/\0\xff<"}
    )
    assert ElementTree.fromstring(document).findtext("Code") == "InvalidArgument"


def test_the_resource_is_the_whole_path_in_utf8():
    path = "/bücket/ключ".encode().decode("latin-1")
    document = S3Error("NoSuchKey").document({"SCRIPT_NAME": "/s3", "PATH_INFO": path})
    assert "<Resource>/s3/bücket/ключ</Resource>" in document.decode()


def test_every_code_has_a_status_and_words():
    for code, (status, message) in CODES.items():
        assert re.fullmatch(r"[A-Za-z0-9]+", code)
        assert status in STATUS_LINES
        assert message


@pytest.mark.parametrize(
    "code",
    [
        "ExistingObjectIsDirectory",
        "ObjectParentIsFile",
        "DirectoryObjectContainsData",
        "QuotaExceeded",
        "InsufficientStorage",
    ],
)
def test_codes_of_versitys_gateway_are_known(code):
    assert code in CODES


def test_an_unknown_code_is_a_mistake_of_ours():
    with pytest.raises(KeyError):
        S3Error("NoSuchCode")


def test_host_ids_are_base64_and_differ_between_processes():
    here = host_id("0123456789ABCDEF")
    assert re.fullmatch(r"[A-Za-z0-9+/]{64}", here)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, host_id("0123456789ABCDEF").encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        assert pipe.read().decode() != here


def test_an_error_tells_itself_in_a_log():
    assert str(S3Error("AccessDenied")) == "AccessDenied: Access Denied"
