"""What an Authorization header or a presigned URL says, in every form that is sent."""

import pytest

from s3filters.s3.errors import S3Error
from s3filters.sign import claims

SIGNATURE = "f" * 64
CREDENTIAL = "AKIA/20130524/us-east-1/s3/aws4_request"
HEADER = (
    f"AWS4-HMAC-SHA256 Credential={CREDENTIAL}, SignedHeaders=host;range, Signature={SIGNATURE}"
)


def query(**changes):
    words = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": CREDENTIAL,
        "X-Amz-Date": "20130524T000000Z",
        "X-Amz-Expires": "60",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": SIGNATURE,
    }
    words |= {f"X-Amz-{name}": value for name, value in changes.items()}
    return {name: [value] for name, value in words.items() if value is not None}


def refusal(call, *args):
    with pytest.raises(S3Error) as caught:
        call(*args)
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        HEADER,
        HEADER.replace(", ", ","),
        HEADER.replace(", ", ",\t "),
        f"AWS4-HMAC-SHA256 Signature={SIGNATURE},SignedHeaders=host;range,Credential={CREDENTIAL}",
        HEADER.replace("host;range", "Host;Range"),
    ],
)
def test_components_may_stand_in_any_order_with_any_blanks(text):
    claim, signature = claims.of_header(text)
    assert signature == SIGNATURE
    assert claim.access_key == "AKIA"
    assert claim.scope == "20130524/us-east-1/s3/aws4_request"
    assert claim.signed.text == "host;range"
    assert claim.signed.names == {"host", "range"}


def test_an_access_key_may_hold_slashes():
    text = HEADER.replace("AKIA", "team/key")
    assert claims.of_header(text)[0].access_key == "team/key"


def test_a_header_is_understood_once_for_many_signatures():
    first, _ = claims.of_header(HEADER)
    again, signature = claims.of_header(HEADER[:-64] + "0" * 64)
    assert again is first
    assert signature == "0" * 64


def test_a_long_header_is_not_kept():
    text = HEADER.replace("host;range", "host;" + ";".join(f"x-amz-meta-{i}" for i in range(200)))
    first, _ = claims.of_header(text)
    again, _ = claims.of_header(text)
    assert again == first
    assert again is not first


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("AWS4-HMAC-SHA256", 'the authorization component "" is malformed'),
        ("AWS4-HMAC-SHA256 x", 'the authorization component " x" is malformed'),
        (f"AWS4-HMAC-SHA256 Credential={CREDENTIAL}", "requires three components"),
        (HEADER + ", Signature=x", 'component " Signature=x" is malformed'),
        (HEADER + HEADER, "is malformed"),
        (HEADER.replace("AKIA/", ""), "the Credential is mal-formed"),
        (HEADER.replace("AKIA", ""), "the Credential is mal-formed"),
        (
            HEADER.replace("/s3/", "/ec2/"),
            'incorrect service "ec2". This endpoint belongs to "s3".',
        ),
        (HEADER.replace("aws4_", "aws5_"), 'incorrect terminal "aws5_request"'),
        (HEADER.replace("20130524", "2013052"), 'incorrect date format "2013052"'),
        (HEADER.replace("host;range", ""), "the list of signed headers is mal-formed"),
        (HEADER.replace("host;range", "host;;range"), "the list of signed headers is mal-formed"),
        (HEADER.replace("host;range", "host;\xe4"), "the list of signed headers is mal-formed"),
    ],
)
def test_a_malformed_header_is_refused_with_the_reason(text, says):
    error = refusal(claims.of_header, text)
    assert error.code == "AuthorizationHeaderMalformed"
    assert says in error.message


def test_a_header_that_does_not_sign_the_host_is_refused():
    error = refusal(claims.of_header, HEADER.replace("host;", ""))
    assert (error.code, error.detail) == ("AccessDenied", {"HeadersNotSigned": "host"})


def test_a_presigned_url_is_understood():
    claim, words = claims.of_query(query() | {"x-id": ["GetObject"]})
    assert claim.access_key == "AKIA"
    assert words["X-Amz-Expires"] == "60"


@pytest.mark.parametrize("name", claims.QUERY_WORDS)
@pytest.mark.parametrize("values", [[], ["1", "1"]])
def test_a_presigned_url_needs_each_of_its_words_once(name, values):
    error = refusal(claims.of_query, query() | {name: values})
    assert error.code == "AuthorizationQueryParametersError"
    assert "requires the X-Amz-Algorithm" in error.message


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"Algorithm": "AWS4-ECDSA-P256-SHA256"}, "X-Amz-Algorithm only supports"),
        ({"Credential": "AKIA"}, "the Credential is mal-formed"),
        ({"Credential": CREDENTIAL.replace("s3", "sts")}, 'incorrect service "sts"'),
        ({"SignedHeaders": "host;"}, "the list of signed headers is mal-formed"),
    ],
)
def test_a_malformed_presigned_url_is_refused_with_the_reason(changes, says):
    error = refusal(claims.of_query, query(**changes))
    assert error.code == "AuthorizationQueryParametersError"
    assert says in error.message
