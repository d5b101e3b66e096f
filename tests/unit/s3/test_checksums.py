import pytest

from s3filters.s3 import checksums

# Of "123456789": the check values of the CRC catalogue, and FIPS/RFC test values.
CHECK = {
    "CRC32": "cbf43926",
    "CRC32C": "e3069283",
    "CRC64NVME": "ae8b14860a799888",
    "MD5": "25f9e794323b453885f5181f1b624d0b",
    "SHA1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "SHA256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
}
EMPTY = {
    "CRC32": "AAAAAA==",
    "CRC32C": "AAAAAA==",
    "CRC64NVME": "AAAAAAAAAAA=",
    "MD5": "1B2M2Y8AsgTpgAmY7PhCfg==",
    "SHA1": "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
    "SHA256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
}


@pytest.mark.parametrize("name", checksums.ALGORITHMS)
def test_known_values(name):
    hasher = checksums.hasher(name)
    assert checksums.b64(hasher.digest()) == EMPTY[name]
    hasher.update(memoryview(b"1234"))
    hasher.update(bytearray(b""))
    hasher.update(b"56789")
    assert hasher.digest().hex() == CHECK[name]
    assert hasher.digest().hex() == CHECK[name], "a digest may be asked again"
    assert len(hasher.digest()) == checksums.ALGORITHMS[name].size


def test_the_sum_of_a_crc_is_written_with_its_highest_byte_first():
    hasher = checksums.hasher("CRC64NVME")
    hasher.update(b"123456789")
    assert checksums.b64(hasher.digest()) == "rosUhgp5mIg="


def test_the_default_is_one_that_objects_store():
    assert checksums.DEFAULT in checksums.OBJECT_ALGORITHMS
    assert set(checksums.OBJECT_ALGORITHMS) == set(checksums.ALGORITHMS) - {"MD5"}


def test_a_digest_of_a_header_must_be_base64_of_its_size():
    assert checksums.from_b64("AAAAAA==", 4) == bytes(4)
    for text in ("", "AAAA", "AAAAAA", "AAAAAAAAAAA=", "AAA!AA==", "AAAAAA==\n", "ÄAAAAA=="):
        assert checksums.from_b64(text, 4) is None
