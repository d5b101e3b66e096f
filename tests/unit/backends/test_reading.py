from s3filters.backends.fs.reading import answer_headers
from s3filters.s3.call import Call
from s3filters.store.metadata import Checksums, Record


def record():
    crc = Checksums("CRC32", "FULL_OBJECT", "AAAAAA==")
    return Record(4, 10**9, 1, 1, 1, "0" * 32, {"content-type": "a/b"}, {"k": "v"}, crc, tags=2)


def headers(known, **params):
    return answer_headers(Call("GetObject", "bucket", "key", params=params), known, whole=True)


def test_an_answer_is_the_same_however_often_its_record_was_used():
    known = record()
    first = headers(known)
    assert ("x-amz-meta-k", "v") in first
    assert ("x-amz-tagging-count", "2") in first
    first.append(("Content-Length", "4"))
    assert headers(known) == headers(record()) == first[:-1]


def test_what_one_request_asks_for_does_not_stay_for_the_next():
    known = record()
    for _ in range(2):
        other = headers(known, ResponseContentType="c/d", ChecksumMode="ENABLED")
        assert dict(other)["Content-Type"] == "c/d"
        assert dict(other)["x-amz-checksum-crc32"] == "AAAAAA=="
        assert dict(headers(known))["Content-Type"] == "a/b"
        assert "x-amz-checksum-crc32" not in dict(headers(known))
