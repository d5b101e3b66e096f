"""The kind of a request's signature decides who verifies it: one table by header, one by query."""

from __future__ import annotations

from collections.abc import Callable

from s3filters.s3.errors import S3Error
from s3filters.sign import v2, v4
from s3filters.sign.proof import Proof, Rules
from s3filters.sign.request import Request

ByHeader = Callable[[Request, str, Rules, float], Proof]
ByQuery = Callable[[Request, dict[str, list[str]], Rules, float], Proof]

BY_SCHEME: dict[str, ByHeader] = {"AWS4-HMAC-SHA256": v4.verify_header, "AWS": v2.verify_header}
BY_WORD: dict[str, ByQuery] = {  # a word of the query that says that a URL is presigned
    "X-Amz-Algorithm": v4.verify_query,
    "X-Amz-Credential": v4.verify_query,
    "X-Amz-Signature": v4.verify_query,
    "Signature": v2.verify_query,
    "AWSAccessKeyId": v2.verify_query,
}


def verify(request: Request, rules: Rules, now: float) -> Proof | None:
    """Return what the request's signature proves, None when it has none.

    Raise S3Error when there is one that is not right, or more than one.

    :param now: seconds since 1970
    """
    authorization: str | None = request.environ.get("HTTP_AUTHORIZATION")
    query = request.query
    by_query, parameters = None, {}
    if query and (authorization is None or "Sig" in query or "X-Amz-" in query or "AWSA" in query):
        parameters = request.parameters()
        by_query = next((BY_WORD[word] for word in BY_WORD if word in parameters), None)
    if authorization is None:
        return by_query(request, parameters, rules, now) if by_query else None
    if by_query:
        raise S3Error(
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
            "Signature query string parameter or the Authorization header should be specified",
            ArgumentName="Authorization",
            ArgumentValue=authorization,
        )
    by_header = BY_SCHEME.get(authorization.partition(" ")[0])
    if by_header is None:
        raise S3Error(
            "InvalidArgument",
            "Unsupported Authorization Type",
            ArgumentName="Authorization",
            ArgumentValue=authorization,
        )
    return by_header(request, authorization, rules, now)
