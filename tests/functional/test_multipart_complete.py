"""Completing: what the list must hold, which conditions count, and asking again."""

import threading

import pytest

from s3filters.store import removing
from tests.functional.asking import body_of, document, edit, fields, on_disk, refusal
from tests.functional.parts import (
    FULL,
    LEAST,
    OTHER,
    PLACEMENTS,
    Uploader,
    etag_of,
    placing_app,
)

EMPTY_ETAG = '"d41d8cd98f00b204e9800998ecf8427e"'


@pytest.fixture(params=PLACEMENTS)
def app(request, settings, tmp_path):
    """The pipeline, with parts in files of their own, or where they will lie."""
    return placing_app(tmp_path, settings, request.param)


def listing(*parts):
    """The document of a complete."""
    inner = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in parts
    )
    return f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>".encode()


@pytest.fixture
def upload(s3, box):
    """An upload of two parts."""
    made = Uploader(s3)
    made.put(1, FULL)
    made.put(2, b"end")
    return made


def test_the_answer_is_the_document_of_aws(s3, box, ask):
    upload = Uploader(s3, "a b/ä&")
    upload.put(1, b"x")
    etag = upload.parts[1]["ETag"]
    answer = ask("POST", f"/box/a%20b/%C3%A4%26?uploadId={upload.id}", listing((1, etag)))
    assert answer.status == 200
    root = document(answer)
    assert root.tag == "CompleteMultipartUploadResult"
    found = {child.tag: child.text for child in root}
    assert list(found) == [
        "Location", "Bucket", "Key", "ETag", "ChecksumCRC64NVME", "ChecksumType",
    ]  # fmt: skip
    assert found["Location"].endswith("/box/a%20b/%C3%A4%26")
    assert (found["Bucket"], found["Key"], found["ETag"]) == ("box", "a b/ä&", etag_of(b"x"))


@pytest.mark.parametrize("quoted", ['"{}"', "{}", "&quot;{}&quot;", "  {}\n"])
def test_etags_may_come_with_or_without_quotes(upload, ask, quoted):
    parts = [(n, quoted.format(part["ETag"].strip('"'))) for n, part in upload.parts.items()]
    assert ask("POST", f"/box/key?uploadId={upload.id}", listing(*parts)).status == 200


# --- lists that do not hold ----------------------------------------------------------------------


def refused(ask, upload, body):
    """Ask to complete; return the code of the error. The upload must be as it was."""
    before = upload.stored()
    answer = ask("POST", f"/box/key?uploadId={upload.id}", body)
    assert answer.status == 400
    assert upload.stored() == before
    return fields(answer)["Code"]


def test_a_part_that_is_not_there_is_told(upload, ask):
    (one, etag), (_, end) = ((n, part["ETag"]) for n, part in upload.parts.items())
    assert refused(ask, upload, listing((one, etag), (3, end))) == "InvalidPart"
    assert refused(ask, upload, listing((one, etag), (2, etag))) == "InvalidPart"
    assert refused(ask, upload, listing((one, EMPTY_ETAG))) == "InvalidPart"
    upload.complete()


def test_the_answer_names_the_part_that_is_wrong(upload, ask):
    answer = ask("POST", f"/box/key?uploadId={upload.id}", listing((9, "abc")))
    told = fields(answer)
    assert (told["PartNumber"], told["ETag"], told["UploadId"]) == ("9", "abc", upload.id)


def test_an_old_etag_of_a_replaced_part_is_another(upload):
    before = dict(upload.parts[2])
    upload.put(2, b"END")
    upload.parts[2] = before
    assert refusal(upload.complete) == (400, "InvalidPart")


@pytest.mark.parametrize("numbers", [(2, 1), (1, 1), (1, 2, 2)])
def test_parts_must_ascend(upload, ask, numbers):
    parts = [(number, upload.parts[number]["ETag"]) for number in numbers]
    assert refused(ask, upload, listing(*parts)) == "InvalidPartOrder"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<CompleteMultipartUpload></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part></Part></CompleteMultipartUpload>",
        b"<Other/>",
        b"no xml",
        listing((0, "x")),
        listing((10_001, "x")),
        listing(("one", "x")),
        listing(*((number, "x") for number in range(1, 10_002))),
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + listing((1, "&b;")),
    ],
    ids=range(10),
)
def test_a_document_that_is_none_is_malformed(upload, ask, body):
    assert refused(ask, upload, body) == "MalformedXML"


def test_a_part_under_5_mib_must_be_the_last(s3, box):
    upload = Uploader(s3)
    upload.put(1, FULL[:-1])
    upload.put(2, b"end")
    assert refusal(upload.complete) == (400, "EntityTooSmall")
    assert upload.stored() == [(1, LEAST - 1), (2, 3)]
    upload.complete([1])
    assert body_of(s3, "key") == FULL[:-1]


def test_the_error_of_a_small_part_says_which(s3, box, ask):
    upload = Uploader(s3)
    upload.put(4, b"small")
    upload.put(5, b"end")
    parts = [(n, part["ETag"]) for n, part in upload.parts.items()]
    told = fields(ask("POST", f"/box/key?uploadId={upload.id}", listing(*parts)))
    assert told["PartNumber"] == "4"
    assert (told["ProposedSize"], told["MinSizeAllowed"]) == ("5", str(LEAST))


def test_a_small_part_may_be_left_out(s3, box):
    upload = Uploader(s3)
    upload.put(1, FULL)
    upload.put(2, b"small")
    upload.put(3, b"end")
    upload.complete([1, 3])
    assert body_of(s3, "key") == FULL + b"end"


@pytest.mark.parametrize(("size", "ok"), [(LEAST + 3, True), (LEAST, False), (0, False)])
def test_the_size_that_the_client_says_must_be_right(upload, size, ok):
    if ok:
        upload.complete(MpuObjectSize=size)
    else:
        assert refusal(upload.complete, MpuObjectSize=size) == (400, "InvalidRequest")
        assert upload.stored() == [(1, LEAST), (2, 3)]


# --- asking again --------------------------------------------------------------------------------


def test_completing_again_answers_the_same(s3, upload):
    first, again = upload.complete(), upload.complete()
    for answer in (first, again):
        del answer["ResponseMetadata"]
    assert again == first
    assert body_of(s3, "key") == FULL + b"end"


def test_completing_again_changes_nothing(upload, box):
    upload.complete()
    removing.settle()
    before = on_disk(box)
    inode = (box / "key").stat()
    upload.complete()
    assert (box / "key").stat() == inode
    assert on_disk(box) == before


def test_completing_again_with_another_list_is_no_repetition(upload):
    upload.complete()
    assert refusal(upload.complete, numbers=[1]) == (404, "NoSuchUpload")


def test_an_upload_whose_object_was_replaced_is_no_more(s3, upload):
    upload.complete()
    s3.put_object(Bucket="box", Key="key", Body=b"another")
    assert refusal(upload.complete) == (404, "NoSuchUpload")
    assert body_of(s3, "key") == b"another"


def test_an_upload_whose_object_was_deleted_is_no_more(s3, upload):
    upload.complete()
    s3.delete_object(Bucket="box", Key="key")
    assert refusal(upload.complete) == (404, "NoSuchUpload")
    assert refusal(s3.head_object, Bucket="box", Key="key")[0] == 404


def test_an_upload_whose_object_was_edited_is_no_more(upload, box):
    upload.complete()
    edit(box / "key", b"by hand")
    assert refusal(upload.complete) == (404, "NoSuchUpload")


def test_the_same_bytes_of_another_upload_are_another_object(s3, box):
    first, second = Uploader(s3), Uploader(s3)
    for upload in (first, second):
        upload.put(1, b"same")
    first.complete()
    second.abort()
    assert refusal(second.complete) == (404, "NoSuchUpload")


def test_an_unknown_id_of_a_key_that_exists_is_told(s3, box):
    s3.put_object(Bucket="box", Key="key", Body=b"part")
    upload = Uploader(s3)
    upload.put(1, b"part")
    upload.name["UploadId"] = "11111111-1111-4111-8111-111111111111"
    assert refusal(upload.complete) == (404, "NoSuchUpload")


def test_two_who_complete_at_once_both_hear_of_one_object(app, s3, upload, ask):
    parts = [(n, part["ETag"]) for n, part in upload.parts.items()]
    answers = []

    def complete():
        answers.append(ask("POST", f"/box/key?uploadId={upload.id}", listing(*parts)))

    threads = [threading.Thread(target=complete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert body_of(s3, "key") == FULL + b"end"


# --- conditions ----------------------------------------------------------------------------------


def test_only_if_absent_refuses_what_is_there_and_keeps_the_upload(s3, upload):
    s3.put_object(Bucket="box", Key="key", Body=b"there")
    assert refusal(upload.complete, IfNoneMatch="*") == (412, "PreconditionFailed")
    assert body_of(s3, "key") == b"there"
    assert upload.stored() == [(1, LEAST), (2, 3)]
    s3.delete_object(Bucket="box", Key="key")
    upload.complete(IfNoneMatch="*")
    assert body_of(s3, "key") == FULL + b"end"


def test_only_if_absent_asked_again_answers_the_same(upload):
    first = upload.complete(IfNoneMatch="*")
    assert upload.complete(IfNoneMatch="*")["ETag"] == first["ETag"]


def test_of_two_uploads_that_want_to_be_the_first_one_is(s3, box):
    uploads = [Uploader(s3) for _ in range(4)]
    for number, upload in enumerate(uploads):
        upload.put(1, b"%d" % number)
    uploads[2].complete(IfNoneMatch="*")
    for upload in (uploads[0], uploads[1], uploads[3]):
        assert refusal(upload.complete, IfNoneMatch="*") == (412, "PreconditionFailed")
    assert body_of(s3, "key") == b"2"


def test_if_match_wants_the_object_that_the_client_knows(s3, upload):
    etag = s3.put_object(Bucket="box", Key="key", Body=b"there")["ETag"]
    wrong = refusal(upload.complete, IfMatch=EMPTY_ETAG)
    assert wrong == (412, "PreconditionFailed")
    upload.complete(IfMatch=etag)
    assert body_of(s3, "key") == FULL + b"end"


def test_if_match_without_an_object_is_told(upload):
    assert refusal(upload.complete, IfMatch=EMPTY_ETAG) == (404, "NoSuchKey")
    upload.complete()


# --- names that are taken ------------------------------------------------------------------------


def test_a_key_that_became_a_directory_is_refused_and_the_upload_stays(s3, box):
    upload = Uploader(s3, "a")
    upload.put(1, b"part")
    s3.put_object(Bucket="box", Key="a/b", Body=b"below")
    assert refusal(upload.complete) == (409, "ExistingObjectIsDirectory")
    assert upload.stored() == [(1, 4)]
    s3.delete_object(Bucket="box", Key="a/b")
    upload.complete()
    assert body_of(s3, "a") == b"part"


def test_a_parent_that_became_a_file_is_refused_and_the_upload_stays(s3, box):
    upload = Uploader(s3, "a/b")
    upload.put(1, b"part")
    s3.put_object(Bucket="box", Key="a", Body=b"above")
    assert refusal(upload.complete) == (409, "ObjectParentIsFile")
    s3.delete_object(Bucket="box", Key="a")
    upload.complete()
    assert body_of(s3, "a/b") == b"part"


def test_nothing_is_left_when_all_uploads_have_ended(s3, box):
    for end in ("complete", "abort"):
        upload = Uploader(s3, end)
        upload.put(1, OTHER)
        getattr(upload, end)()
    s3.delete_object(Bucket="box", Key="complete")
    s3.delete_bucket(Bucket="box")
    assert not box.exists()
