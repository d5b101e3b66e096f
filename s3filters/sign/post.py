"""Signatures of a browser's form: Version 4 and 2, over its policy document.

A form signs the text of its ``policy`` field and nothing else, so the document alone says which
fields and which file a signer allows. The signature comes first: a document that nobody signed is
not read. Sources: AWS API reference, "Authenticating requests in browser-based uploads using POST
(AWS Signature Version 4)"; AWS user guide, "Browser-based uploads using POST", for Version 2.
"""

from __future__ import annotations

import logging

from s3filters.s3.errors import S3Error
from s3filters.s3.fields import missing
from s3filters.s3.form import Form
from s3filters.sign import claims, clock, policy, v2, v4
from s3filters.sign.credentials import Credential
from s3filters.sign.proof import Proof, Rules

log = logging.getLogger("s3filters.sign")

_V4 = {  # field -> its name in an error
    "policy": "policy",
    "x-amz-algorithm": "X-Amz-Algorithm",
    "x-amz-credential": "X-Amz-Credential",
    "x-amz-date": "X-Amz-Date",
    "x-amz-signature": "X-Amz-Signature",
}
_V2 = {"awsaccesskeyid": "AWSAccessKeyId", "policy": "policy", "signature": "signature"}


def verify(form: Form, bucket: str, rules: Rules, now: float) -> Proof | None:
    """Return what the signature of a form proves, None when it has none and is anonymous.

    What the policy document says of the file's size is set in the form. Raise S3Error when the
    signature is not right, the document is none, or the form does not keep it.

    :param bucket: that the form is sent to
    :param now: seconds since 1970
    """
    fields = form.fields
    if {"x-amz-algorithm", "x-amz-credential", "x-amz-signature"} & fields.keys():
        credential = _version_4(fields, rules)
    elif {"awsaccesskeyid", "policy", "signature"} & fields.keys():
        credential = _version_2(fields, rules)
    else:
        return None
    document = policy.parse(fields["policy"])
    least, most = document.check(fields | {"bucket": bucket}, now)
    form.file.least = least
    form.file.most = min(form.file.most, most)
    return Proof(credential)


def _version_4(fields: dict[str, str], rules: Rules) -> Credential:
    """Return the credential that signed. Raise S3Error when its signature is not right."""
    text, algorithm, named, timestamp, provided = _all(fields, _V4)
    if algorithm != claims.ALGORITHM:
        message = f'X-Amz-Algorithm only supports "{claims.ALGORITHM}"'
        raise S3Error("AuthorizationQueryParametersError", message)
    claim = claims.of_form(named)
    if claim.region != rules.region:
        words = f"the region '{claim.region}' is wrong; expecting '{rules.region}'"
        raise claims.query_malformed(words, Region=rules.region)
    if clock.basic(timestamp) is None:
        message = "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        raise S3Error("AuthorizationQueryParametersError", message)
    if timestamp[:8] != claim.date:
        raise claims.query_malformed(
            f'Invalid credential date "{claim.date}". '
            f'This date is not the same as X-Amz-Date: "{timestamp[:8]}".'
        )
    credential = _credential(claim.access_key, fields, rules)
    key = v4.signing_key(credential.secret_key, claim.date, claim.region)
    _compare(claim.access_key, v4.signature(key, text), provided, text)
    return credential


def _version_2(fields: dict[str, str], rules: Rules) -> Credential:
    """Return the credential that signed. Raise S3Error when its signature is not right."""
    v2.check_allowed(rules)
    access_key, text, provided = _all(fields, _V2)
    credential = _credential(access_key, fields, rules)
    _compare(access_key, v2.signature(credential.secret_key, text), provided, text)
    return credential


def _all(fields: dict[str, str], names: dict[str, str]) -> list[str]:
    """The values of the fields that a signature needs, in the order of the table."""
    for name, shown in names.items():
        if not fields.get(name):
            raise missing(shown)
    if not fields["policy"].isascii():
        raise policy.invalid("Invalid base64 encoding.")
    return [fields[name] for name in names]


def _credential(access_key: str, fields: dict[str, str], rules: Rules) -> Credential:
    credential = rules.credentials.find(access_key)
    if credential is None:
        raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=access_key)
    if fields.get("x-amz-security-token"):  # as by header: the keys of this service are permanent
        raise S3Error("InvalidToken")
    return credential


def _compare(access_key: str, computed: str, provided: str, text: str) -> None:
    log.debug("string to sign: %s", text)
    if not v4.same(computed, provided):
        raise v4.mismatch(access_key, provided, text)
