import base64
import hashlib
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3 import checksums, multipart, rules, xml
from s3filters.s3.errors import S3Error
from s3filters.s3.multipart import CompletedPart

MIB = 1 << 20


class Stored(NamedTuple):
    size: int
    etag: str
    algorithm: str = ""
    checksum: str = ""


def refused(function, *args):
    with pytest.raises(S3Error) as caught:
        function(*args)
    return caught.value


def digest(name, data):
    hasher = checksums.hasher(name)
    hasher.update(data)
    return checksums.b64(hasher.digest())


# --- the list of parts -------------------------------------------------------------------------


def document(parts, namespace=xml.NAMESPACE):
    entries = []
    for part in parts:
        entry = {"ETag": f'"{part.etag}"', "PartNumber": part.number}
        if part.checksum:
            entry["Checksum" + part.checksum[0]] = part.checksum[1]
        entries.append(entry)
    return xml.render("CompleteMultipartUpload", {"Part": entries}, namespace=namespace)


def one(fields):
    return f"<CompleteMultipartUpload><Part>{fields}</Part></CompleteMultipartUpload>".encode()


LISTS = st.builds(
    lambda numbers, etags, sums: [
        CompletedPart(*fields) for fields in zip(sorted(numbers), etags, sums, strict=False)
    ],
    st.sets(st.integers(1, 10_000), min_size=1, max_size=20),
    st.lists(st.text("0123456789abcdef", min_size=1, max_size=40), min_size=20, max_size=20),
    st.lists(
        st.none() | st.tuples(st.sampled_from(checksums.OBJECT_ALGORITHMS), st.just("AAA=")),
        min_size=20,
        max_size=20,
    ),
)


@given(LISTS, st.sampled_from([xml.NAMESPACE, "", "urn:other"]))
def test_a_list_that_was_rendered_is_read_as_it_was(parts, namespace):
    assert multipart.parse_parts(document(parts, namespace)) == parts


@pytest.mark.parametrize(
    "etag", ['"ab"', "ab", "&quot;ab&quot;", " &#34;ab&#34;\n", "<![CDATA[ab]]>", "a<!-- -->b"]
)
def test_an_etag_may_be_quoted_or_not(etag):
    found = multipart.parse_parts(one(f"<PartNumber>1</PartNumber><ETag>{etag}</ETag>"))
    assert found == [CompletedPart(1, "ab")]


def test_blanks_prefixes_and_other_encodings_are_no_matter():
    text = (
        '<?xml version="1.0" encoding="UTF-16"?>\n<s:CompleteMultipartUpload xmlns:s="urn:s">\n'
        "  <s:Part a='b'>\n    <s:ETag>é</s:ETag>\n    <s:PartNumber> 7 </s:PartNumber>\n"
        "    <s:ChecksumSHA1>\nAA==\n</s:ChecksumSHA1>\n  </s:Part>\n</s:CompleteMultipartUpload>\n"
    )
    assert multipart.parse_parts(text.encode("utf-16")) == [CompletedPart(7, "é", ("SHA1", "AA=="))]


NUMBER, ETAG = "<PartNumber>1</PartNumber>", "<ETag>ab</ETag>"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"parts",
        b"<CompleteMultipartUpload>",
        b"<CompleteMultipartUpload/>",
        b"<Delete><Part><PartNumber>1</PartNumber><ETag>ab</ETag></Part></Delete>",
        b"<CompleteMultipartUpload><Object/></CompleteMultipartUpload>",
        b'<?xml version="1.0" encoding="klingon"?><CompleteMultipartUpload/>',
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + one(NUMBER + "<ETag>&b;</ETag>"),
        b"<!DOCTYPE a>" + one(NUMBER + ETAG),
        one(NUMBER + "<ETag>&other;</ETag>"),
        one(NUMBER),
        one(ETAG),
        one(NUMBER + ETAG + "<Size>5</Size>"),
        one(NUMBER + ETAG + "<ChecksumMD5>AA==</ChecksumMD5>"),
        one(NUMBER + ETAG + ETAG),
        one(NUMBER + "<ETag><b>ab</b></ETag>"),
        one(NUMBER + f"<ETag>{'a' * 1025}</ETag>"),
        *(one(f"<PartNumber>{text}</PartNumber>" + ETAG) for text in ("", "0", "-1", "+1", "1.0",
          "one", "10001", "٣", "1" * 100)),
    ],
)  # fmt: skip
def test_a_list_that_is_not_understood_whole_is_refused(body):
    assert refused(multipart.parse_parts, body).code == "MalformedXML"


def test_a_list_has_at_most_10000_parts_and_the_longest_fits_its_limit():
    checksum = ("SHA256", base64.b64encode(bytes(32)).decode())
    parts = [CompletedPart(number, "0" * 32, checksum) for number in range(1, 10_001)]
    body = document(parts)
    assert multipart.parse_parts(body) == parts
    assert len(body) * 2 < rules.COMPLETE_XML_BYTES
    too_many = body.replace(b"</Part><Part>", b"</Part><Part/><Part>", 1)
    assert refused(multipart.parse_parts, too_many).code == "MalformedXML"


@pytest.mark.parametrize("numbers", [(2, 1), (1, 1), (1, 3, 2)])
def test_part_numbers_ascend(numbers):
    body = document([CompletedPart(number, "ab") for number in numbers])
    assert refused(multipart.parse_parts, body).code == "InvalidPartOrder"


def test_a_part_has_one_checksum():
    both = "<ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C>"
    assert refused(multipart.parse_parts, one(NUMBER + ETAG + both)).code == "InvalidRequest"


# --- what an upload declares -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        ((None, None), ("", "")),
        (("CRC32", None), ("CRC32", "COMPOSITE")),
        (("CRC32C", None), ("CRC32C", "COMPOSITE")),
        (("CRC32C", "FULL_OBJECT"), ("CRC32C", "FULL_OBJECT")),
        (("CRC64NVME", None), ("CRC64NVME", "FULL_OBJECT")),
        (("SHA1", None), ("SHA1", "COMPOSITE")),
        (("SHA256", "COMPOSITE"), ("SHA256", "COMPOSITE")),
    ],
)
def test_an_algorithm_has_a_type(given, holds):
    assert multipart.check_declaration(*given) == holds


def test_every_algorithm_of_objects_can_be_declared():
    for name in checksums.OBJECT_ALGORITHMS:
        assert multipart.check_declaration(name, None)[0] == name


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("SHA256", "FULL_OBJECT"), "The FULL_OBJECT checksum type cannot be used with the sha256"),
        (("SHA1", "FULL_OBJECT"), "The FULL_OBJECT checksum type cannot be used with the sha1"),
        (("CRC64NVME", "COMPOSITE"), "The COMPOSITE checksum type cannot be used with the crc64"),
        ((None, "COMPOSITE"), "The x-amz-checksum-type header can only be used with the"),
    ],
)
def test_a_type_that_the_algorithm_cannot_have_is_refused(given, words):
    error = refused(multipart.check_declaration, *given)
    assert error.code == "InvalidRequest"
    assert error.message.startswith(words)


@pytest.mark.parametrize(
    ("declared", "given", "kind", "names"),
    [
        ("SHA256", "CRC32", "COMPOSITE", ("sha256", "crc32")),
        ("SHA256", None, "COMPOSITE", ("sha256", "null")),
        ("CRC32", "CRC64NVME", "FULL_OBJECT", ("crc32", "crc64nvme")),
    ],
)
def test_a_part_with_another_checksum_than_its_upload_is_refused(declared, given, kind, names):
    error = refused(multipart.check_part_checksum, declared, given, kind)
    expected, actual = names
    assert (error.code, error.message) == (
        "InvalidRequest",
        f"Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum "
        f"Type: {actual}",
    )


@pytest.mark.parametrize(
    ("declared", "given", "kind"),
    [
        ("", None, ""),
        ("", "CRC64NVME", ""),
        ("", "CRC32", ""),
        ("CRC32", "CRC32", "COMPOSITE"),
        ("CRC32", None, "FULL_OBJECT"),
    ],
)
def test_a_part_may_leave_to_the_server_what_the_server_can_compute(declared, given, kind):
    multipart.check_part_checksum(declared, given, kind)


@pytest.mark.parametrize(
    ("declared", "holds"),
    [
        (("", ""), ("CRC64NVME", "FULL_OBJECT")),
        (("XXHASH64", "FULL_OBJECT"), ("CRC64NVME", "FULL_OBJECT")),
        (("SHA512", "COMPOSITE"), ("CRC64NVME", "FULL_OBJECT")),
        (("SHA256", ""), ("SHA256", "COMPOSITE")),
        (("SHA256", "FULL_OBJECT"), ("SHA256", "COMPOSITE")),
        (("CRC32", "FULL_OBJECT"), ("CRC32", "FULL_OBJECT")),
    ],
)
def test_whatever_another_gateway_wrote_something_that_can_be_computed_holds(declared, holds):
    assert multipart.in_effect(*declared) == holds
    assert multipart.object_checksum(*holds, [(0, digest(holds[0], b""))])


# --- what the object becomes -------------------------------------------------------------------


def test_the_etag_is_that_of_the_digests_and_their_count():
    etags = [hashlib.md5(data).hexdigest() for data in (b"A" * (5 * MIB), b"B" * 10)]
    assert multipart.etag_of(iter(etags)) == "c388257bed0997141334085ff26dc81e-2"
    assert multipart.etag_of([]).endswith("-0")


def test_an_etag_of_a_part_that_is_no_md5_counts_by_its_text():
    etags = ["CRC64NVME-AAAAAAAAAAA=", "00"]
    expected = hashlib.md5("".join(etags).encode()).hexdigest()
    assert multipart.etag_of(etags) == f"{expected}-2"


@given(
    st.sampled_from(["CRC32", "CRC32C", "CRC64NVME"]), st.lists(st.binary(max_size=200), min_size=1)
)
def test_combined_crcs_are_the_crc_of_the_joined_bytes(name, parts):
    found = multipart.object_checksum(
        name, "FULL_OBJECT", ((len(data), digest(name, data)) for data in parts)
    )
    assert found == digest(name, b"".join(parts))


@pytest.mark.parametrize("name", ["CRC32", "CRC32C", "SHA1", "SHA256"])
def test_a_composite_checksum_is_that_of_the_digests_and_their_count(name):
    sums = [digest(name, data) for data in (b"a", b"b", b"c")]
    raw = b"".join(base64.b64decode(text) for text in sums)
    found = multipart.object_checksum(name, "COMPOSITE", [(1, text) for text in sums])
    assert found == digest(name, raw) + "-3"


@pytest.mark.parametrize("text", ["", "A", "é", "AA==", "no base64!", "AAAAAAAAAAAAAAA="])
def test_without_the_checksum_of_a_part_there_is_none_of_the_object(text):
    for name, kind in (("CRC64NVME", "FULL_OBJECT"), ("CRC32", "COMPOSITE")):
        good = digest(name, b"a")
        assert multipart.object_checksum(name, kind, [(1, good), (1, text)]) == ""


# --- the checks of CompleteMultipartUpload -----------------------------------------------------

BIG, LAST = Stored(5 * MIB, "aa", "CRC32", "AAAAAA=="), Stored(1, "bb", "CRC32", "BBBBBA==")


def asked(*fields):
    return [CompletedPart(*given) for given in fields]


def test_a_list_that_fits_is_taken():
    parts = asked((3, "aa"), (9, "bb"))
    multipart.check_parts("u", ("", ""), parts, [BIG, LAST])
    multipart.check_parts("u", ("CRC32", "FULL_OBJECT"), parts, [BIG, LAST])
    multipart.check_parts("u", ("XXHASH3", "COMPOSITE"), parts, [BIG, LAST])
    given = asked((3, "aa", ("CRC32", "AAAAAA==")), (9, "bb", ("CRC32", "BBBBBA==")))
    multipart.check_parts("u", ("CRC32", "COMPOSITE"), given, [BIG, LAST])


@pytest.mark.parametrize(
    ("declared", "part", "stored"),
    [
        (("", ""), (3, "aa"), None),
        (("", ""), (3, "ab"), BIG),
        (("", ""), (3, ""), BIG),
        (("", ""), (3, "aa", ("CRC64NVME", "A=")), Stored(1, "aa", "CRC64NVME", "B=")),
        (("CRC32", "FULL_OBJECT"), (3, "aa", ("CRC32", "AAAAAA==")), Stored(1, "aa")),
        (("CRC32", "COMPOSITE"), (3, "aa", ("CRC32", "AAAAAB==")), BIG),
        (("CRC32", "COMPOSITE"), (3, "aa", ("CRC32C", "AAAAAA==")), BIG),
    ],
)
def test_a_part_that_is_not_the_stored_one_is_named(declared, part, stored):
    error = refused(multipart.check_parts, "u", declared, asked(part), [stored])
    assert error.code == "InvalidPart"
    assert error.detail == {"UploadId": "u", "PartNumber": 3, "ETag": part[1]}


def test_an_upload_without_declared_checksum_takes_those_of_any_algorithm_as_sent_with_the_part():
    stored = Stored(1, "aa", "CRC64NVME", "AAAAAAAAAAA=")
    multipart.check_parts("u", ("", ""), asked((1, "aa", ("CRC32", "AAAAAA=="))), [stored])


@pytest.mark.parametrize("kind", ["COMPOSITE", ""])
def test_a_composite_upload_needs_every_checksum_in_the_list(kind):
    parts = asked((1, "aa", ("CRC32", "AAAAAA==")), (4, "bb"))
    error = refused(multipart.check_parts, "u", ("CRC32", kind), parts, [BIG, LAST])
    assert (error.code, error.message) == (
        "InvalidRequest",
        "The upload was created using a crc32 checksum. The complete request must include the "
        "checksum for each part. It was missing for part 4 in the request.",
    )


def test_a_part_under_5_mib_is_refused_unless_last():
    small = BIG._replace(size=5 * MIB - 1)
    multipart.check_parts("u", ("", ""), asked((1, "aa")), [small])
    error = refused(
        multipart.check_parts, "u", ("", ""), asked((1, "aa"), (2, "bb")), [small, LAST]
    )
    assert error.code == "EntityTooSmall"
    assert error.detail == {
        "ProposedSize": 5 * MIB - 1,
        "MinSizeAllowed": 5 * MIB,
        "PartNumber": 1,
        "ETag": "aa",
    }


def test_a_missing_part_is_told_before_a_small_one():
    small = BIG._replace(size=1)
    error = refused(
        multipart.check_parts, "u", ("", ""), asked((1, "aa"), (2, "bb")), [small, None]
    )
    assert error.code == "InvalidPart"


def test_an_object_has_at_most_5_tib():
    huge = BIG._replace(size=5 << 40)
    multipart.check_parts("u", ("", ""), asked((1, "aa")), [huge])
    error = refused(multipart.check_parts, "u", ("", ""), asked((1, "aa"), (2, "bb")), [huge, LAST])
    assert (error.code, error.detail["MaxSizeAllowed"]) == ("EntityTooLarge", 5 << 40)


@pytest.mark.parametrize(
    ("declared", "params"),
    [
        (("", ""), {}),
        (("", ""), {"MpuObjectSize": None, "ChecksumType": None, "ObjectChecksum": None}),
        (("", ""), {"MpuObjectSize": 5, "ChecksumType": "FULL_OBJECT"}),
        (("", ""), {"ObjectChecksum": ("CRC64NVME", "AAAA-2")}),
        (("CRC32", "COMPOSITE"), {"ObjectChecksum": ("CRC32", "AAAA-2")}),
        (("CRC32", "COMPOSITE"), {"ObjectChecksum": ("CRC32", "AAAA")}),
        (("CRC32", "COMPOSITE"), {"ChecksumType": "COMPOSITE"}),
    ],
)
def test_what_the_client_says_of_the_object_and_is_so(declared, params):
    multipart.check_object(declared, 5, "AAAA-2", params)


@pytest.mark.parametrize(
    ("declared", "params", "code"),
    [
        (("", ""), {"MpuObjectSize": 6}, "InvalidRequest"),
        (("", ""), {"MpuObjectSize": 0}, "InvalidRequest"),
        (("", ""), {"ChecksumType": "COMPOSITE"}, "InvalidRequest"),
        (("CRC32", ""), {"ChecksumType": "FULL_OBJECT"}, "InvalidRequest"),
        (("", ""), {"ObjectChecksum": ("CRC64NVME", "AAAB")}, "BadDigest"),
        (("CRC32", "COMPOSITE"), {"ObjectChecksum": ("CRC32", "AAAA-3")}, "BadDigest"),
        (("", ""), {"ObjectChecksum": ("CRC32", "AAAA-2")}, "InvalidRequest"),
        (("SHA1", ""), {"ObjectChecksum": ("CRC32", "AAAA-2")}, "InvalidRequest"),
    ],
)
def test_what_the_client_says_of_the_object_and_is_not_so(declared, params, code):
    assert refused(multipart.check_object, declared, 5, "AAAA-2", params).code == code


def test_a_checksum_that_cannot_be_compared_is_not_taken_for_right():
    given = {"ObjectChecksum": ("CRC64NVME", "")}
    assert refused(multipart.check_object, ("", ""), 5, "", given).code == "BadDigest"
