"""sigauth: the signature becomes an Identity, and the body proves itself while it is read.

Verifies Signature Version 4 and 2, by Authorization header, by presigned URL, and by the fields of
a browser's form, whose policy document is kept here. A request that was
signed rightly goes on with its Identity in the environ, one that was not is refused with S3's own
code, and one that has no signature goes on with none: what anonymous requests may do is for
``acl``. ``wsgi.input`` becomes a Body, which decodes aws-chunked and fails when the bytes are not
those that were signed. Headers that a presigned URL carries in its query are shown as headers.

Ini options of ``[filter:sigauth]`` are the fields of Options below.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from s3filters import offload, options
from s3filters.pipeline.base import App
from s3filters.pipeline.s3api import domains_option
from s3filters.s3 import address, fields
from s3filters.s3.call import IDENTITY, KNOWS
from s3filters.s3.errors import S3Error
from s3filters.sign import accountfile, hoist, post
from s3filters.sign.credentials import Credentials
from s3filters.sign.payload import body_of, content_length
from s3filters.sign.proof import Proof, Rules
from s3filters.sign.request import Request
from s3filters.sign.verify import verify


@dataclass(frozen=True, slots=True)
class Options:
    """Options of sigauth."""

    region: str = options.option(
        "us-east-1", options.text, "Region that the service says it is in.", shared=True
    )
    credentials: str = options.option(
        "./credentials.jsonl",
        options.text,
        "File of the key pairs that may sign, a JSON line each; read again when it changes. Pairs "
        "in S3_ACCESS_KEY and S3_SECRET_KEY, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        "CURVINE_ACCESS_KEY and CURVINE_SECRET_KEY of the environment may sign too.",
        shared=True,
    )
    accounts: str = options.option(
        "",
        options.text,
        "File of the accounts that keys belong to, ours or Versity's users.json; read again when "
        "it changes. Empty: accounts.json beside the credentials file. Where there is none, each "
        "key is an account of its own that may do everything.",
        shared=True,
    )
    storage_domain: tuple[str, ...] = domains_option()
    clock_skew: float = options.option(
        900.0, options.seconds, "Seconds that a request's date may be from this host's clock."
    )
    max_presigned_seconds: int = options.option(
        604800, options.whole(1, 604800), "Longest time that a presigned URL may be good for."
    )
    allow_v2: bool = options.option(
        True,
        options.boolean,
        "Accept Signature Version 2, which does not sign bodies; s3cmd and old SDKs may need it.",
    )


class Sigauth:
    """Verifies each request and passes it on, or refuses it."""

    def __init__(self, app: App, settings: Options) -> None:
        self.app = app
        self._rules = Rules(
            Credentials(
                settings.credentials,
                os.environ,
                offload.run,
                accountfile.beside(settings.credentials, settings.accounts),
            ),
            region=settings.region,
            clock_skew=settings.clock_skew,
            max_presigned=settings.max_presigned_seconds,
            domains=settings.storage_domain,
            allow_v2=settings.allow_v2,
        )
        self._knows = self._rules.credentials.knows

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Verify the request. An S3Error becomes the reply."""
        environ[KNOWS] = self._knows
        try:
            proof = verify(Request(environ), self._rules, time.time())
            if proof is None:
                environ[IDENTITY] = None
            else:
                environ[IDENTITY] = proof.credential.identity
                if proof.hoisted:
                    hoist.into(environ, proof.hoisted)
            if environ["REQUEST_METHOD"] == "POST" and fields.posts(environ, self._rules.domains):
                self._receive_form(environ, proof)
            else:
                environ["wsgi.input"] = body_of(environ, proof)
        except S3Error as error:
            return error(environ, start_response)
        return self.app(environ, start_response)

    def _receive_form(self, environ: dict[str, Any], proof: Proof | None) -> None:
        """Verify a form, which is signed by fields of its own and stands before its file."""
        if proof is not None:
            message = "A form is signed by its fields; a header or query cannot sign it."
            raise S3Error("InvalidRequest", message)
        posted = fields.receive(environ, content_length(environ))
        bucket, _ = address.of_request(environ, self._rules.domains)
        proof = post.verify(posted.form, bucket or "", self._rules, time.time())
        if proof is not None:
            environ[IDENTITY] = proof.credential.identity


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Callable[[App], Sigauth]:
    """PasteDeploy entry point ``egg:s3filters#sigauth``."""
    settings = options.read(Options, "filter:sigauth", global_conf, local_conf)
    return lambda app: Sigauth(app, settings)
