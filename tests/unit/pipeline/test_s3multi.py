import io
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters import options
from s3filters.pipeline import s3multi
from s3filters.s3 import multipart, rules
from s3filters.s3.body import Body, source_of
from s3filters.s3.call import KEY, Call
from s3filters.s3.errors import S3Error
from s3filters.s3.multipart import CompletedPart
from s3filters.s3.operations import ROWS

ID = "386a110b-b0b4-4fef-bf2d-4e765e844d1b"
LIST = (
    b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>ab</ETag></Part>"
    b"</CompleteMultipartUpload>"
)
OF_UPLOAD = sorted(multipart.OPERATIONS - {"CreateMultipartUpload", "ListMultipartUploads"})


class Passed(Exception):
    pass


def below(environ, start_response):
    raise Passed


def gate(operation, key="key", data=LIST, **params):
    """The call of an operation as it leaves the filter, or the S3Error that refuses it."""
    usual = {
        "UploadId": ID, "ChecksumAlgorithm": None, "ChecksumType": None, "KeyMarker": "",
        "UploadIdMarker": "",
    }  # fmt: skip
    call = Call(operation, "bucket", key, params=usual | params)
    call.body = Body(source_of(io.BytesIO(data)), len(data))
    refusals = []
    original = S3Error.__call__
    try:
        S3Error.__call__ = lambda error, *_: refusals.append(error)
        s3multi.filter_factory({})(below)({"REQUEST_METHOD": "GET", KEY: call}, None)
    except Passed:
        return call
    finally:
        S3Error.__call__ = original
    return refusals[0]


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_the_multipart_operations_are_let_through_as_such_and_others_as_they_are(name):
    assert gate(name).multipart == (name in multipart.OPERATIONS)


def test_every_multipart_operation_has_a_gate():
    assert set(s3multi.S3multi.gates) == multipart.OPERATIONS


@pytest.mark.parametrize("operation", OF_UPLOAD)
@pytest.mark.parametrize(
    "upload_id",
    [
        "", ".", "..", "../..", "u", "/", ID.upper(), ID + "\n", " " + ID, ID[:-1], ID + "0",
        ID.replace("-", ""), "{" + ID + "}", ID + "/1", "\0" * 36, "-" * 36, "٣" * 36,
        ID + ".ended.inprogress",
    ],
)  # fmt: skip
def test_an_upload_id_that_is_none_is_no_upload(operation, upload_id):
    error = gate(operation, UploadId=upload_id)
    assert (error.code, error.status) == ("NoSuchUpload", 404)


@given(st.text(max_size=40) | st.text("0123456789abcdefABCDEF-", min_size=36, max_size=36))
def test_no_other_text_is_an_upload_id(text):
    try:
        sound = str(uuid.UUID(text)) == text
    except ValueError:
        sound = False
    assert isinstance(gate("AbortMultipartUpload", UploadId=text), Call) == sound


@given(st.uuids())
def test_every_uuid_is_an_upload_id(upload_id):
    assert gate("ListParts", UploadId=str(upload_id)).multipart


def test_a_completion_brings_its_parts():
    assert gate("CompleteMultipartUpload").params["Parts"] == [CompletedPart(1, "ab")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "MalformedXML"),
        (LIST.replace(b"1", b"0"), "MalformedXML"),
        (LIST.replace(b"</Part>", b"</Part>" + LIST[25:-26]), "InvalidPartOrder"),
        (LIST + b" " * rules.COMPLETE_XML_BYTES, "MaxMessageLengthExceeded"),
    ],
)
def test_a_completion_without_a_list_is_refused(data, code):
    assert gate("CompleteMultipartUpload", data=data).code == code


def test_the_list_of_an_upload_that_cannot_be_is_not_read():
    assert gate("CompleteMultipartUpload", data=b"", UploadId="..").code == "NoSuchUpload"


def test_a_new_upload_has_the_type_of_its_algorithm():
    params = gate("CreateMultipartUpload", ChecksumAlgorithm="SHA256").params
    assert (params["ChecksumAlgorithm"], params["ChecksumType"]) == ("SHA256", "COMPOSITE")
    params = gate("CreateMultipartUpload").params
    assert (params["ChecksumAlgorithm"], params["ChecksumType"]) == ("", "")
    assert gate("CreateMultipartUpload", ChecksumType="COMPOSITE").code == "InvalidRequest"


def test_a_directory_does_not_come_in_parts():
    error = gate("CreateMultipartUpload", key="a/")
    assert (error.code, error.status) == ("DirectoryObjectContainsData", 400)


def test_a_marker_behind_a_key_is_an_upload_id():
    assert gate("ListMultipartUploads", UploadIdMarker="..").multipart
    assert gate("ListMultipartUploads", UploadIdMarker=ID, KeyMarker="k").multipart
    error = gate("ListMultipartUploads", UploadIdMarker="..", KeyMarker="k")
    assert (error.code, error.message) == ("InvalidArgument", "Invalid uploadId marker")


def test_it_has_no_options():
    with pytest.raises(options.OptionError):
        s3multi.filter_factory({}, colour="red")
