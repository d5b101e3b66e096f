"""cors: pages of other origins may use a bucket as its CORS rules say.

A browser asks before it sends most of a page's requests, by OPTIONS, and cannot sign that. So this
filter stands before ``sigauth``: it answers such a question from the bucket's rules alone. To what
others answer to a request with an ``Origin`` it adds the headers that let the page read it, where
a rule fits, and changes nothing else of it. Errors get them too, those of ``sigauth`` and of
``catch_errors`` among them: without, a browser tells its page only that something went wrong. A
request without ``Origin`` passes by.

Rules come from the app at the end of the pipeline, if that tells what is known of a bucket
(``bucket_facts``, as ``fs`` does); where ``acl`` has read the bucket's record, it is not read
again. They let no request in that ``acl`` refuses. Without this filter OPTIONS is not implemented
and no page of another origin can read an answer, whatever rules buckets have.

Ini options of ``[filter:cors]`` are the fields of Options below.

Answers OptionsBucket and OptionsObject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from s3filters import options
from s3filters.pipeline.base import App, provider_of
from s3filters.pipeline.s3api import domains_option
from s3filters.s3 import address, checksums, cors, rules
from s3filters.s3.call import KEY, READABLE, Call
from s3filters.s3.cors import Rule
from s3filters.s3.errors import S3Error
from s3filters.s3.reply import Reply

Environ = dict[str, Any]
Headers = list[tuple[str, str]]

# What is varied by rules is varied by the headers that they look at: shared caches must know.
_VARY = ("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
_METHOD = "HTTP_ACCESS_CONTROL_REQUEST_METHOD"
_HEADERS = "HTTP_ACCESS_CONTROL_REQUEST_HEADERS"
_EXPOSED = (  # to pages of allow_origin, beside what browsers show anyway
    "ETag", "Accept-Ranges", "Content-Encoding", "Content-Range", "Location",
    "x-amz-checksum-type", *(f"x-amz-checksum-{name.lower()}" for name in checksums.ALGORITHMS),
    "x-amz-delete-marker", "x-amz-id-2", "x-amz-mp-parts-count", "x-amz-request-id",
    "x-amz-restore", "x-amz-storage-class", "x-amz-tagging-count", "x-amz-version-id",
)  # fmt: skip
_NOT_ALLOWED = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of "
    "Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are "
    "not whitelisted by the resource's CORS spec."
)


def origins(value: str) -> tuple[str, ...]:
    """Origins, separated by commas, with at most one ``*`` each."""
    found = tuple(origin.strip() for origin in value.split(",") if origin.strip())
    if any(origin.count("*") > 1 or " " in origin for origin in found):
        raise ValueError("say origins such as https://app.example.org, with at most one * each")
    return found


@dataclass(frozen=True, slots=True)
class Options:
    """Options of cors."""

    storage_domain: tuple[str, ...] = domains_option()
    allow_origin: tuple[str, ...] = options.option(
        (),
        origins,
        "Origins, separated by commas, with at most one * each, whose pages may send every "
        "request to a bucket that has no rules of its own, and to the service: "
        "https://console.example.org, or * for all.",
    )


class Cors:
    """Answers preflights, and adds to answers what lets pages read them."""

    answers: ClassVar[dict[str, str]] = {"OptionsBucket": "preflight", "OptionsObject": "preflight"}

    def __init__(self, app: App, settings: Options) -> None:
        self.app = app
        self._domains = settings.storage_domain
        everything = Rule(settings.allow_origin, cors.METHODS, ("*",), _EXPOSED)
        self._usual = (everything,) if settings.allow_origin else ()
        self._provider = provider_of(app)

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a preflight, pass all else on."""
        if environ["REQUEST_METHOD"] == "OPTIONS":
            try:
                reply: App = self.preflight(environ)
            except S3Error as error:
                reply = error.bare()
            return reply(environ, start_response)
        if "HTTP_ORIGIN" not in environ:
            return self.app(environ, start_response)
        environ[READABLE] = self.of_answer

        def start(status: str, headers: Headers, *exc_info: Any) -> Any:
            return start_response(status, [*headers, *self.of_answer(environ)], *exc_info)

        return self.app(environ, start)

    def preflight(self, environ: Environ) -> Reply:
        """Tell what a page may send. Raise BadRequest, AccessForbidden."""
        bucket, key = address.of_request(environ, self._domains)
        origin, method = environ.get("HTTP_ORIGIN"), environ.get(_METHOD)
        if not origin:
            raise S3Error("BadRequest", "Insufficient information. Origin request header needed.")
        if method not in cors.METHODS:
            message = f"Invalid Access-Control-Request-Method: {method or 'null'}"
            raise S3Error("BadRequest", message)
        asked = _names(environ.get(_HEADERS, ""))
        known = self._rules_of(bucket)
        rule = cors.find(known or (), origin, method, asked)
        if rule is None:
            about = {"Method": method, "ResourceType": "OBJECT" if key else "BUCKET"}
            raise S3Error("AccessForbidden", _NOT_ALLOWED if known else _why_none(known), **about)
        return Reply(200, _headers(rule, origin, asked))

    def of_answer(self, environ: Environ) -> Headers:
        """Return the headers to add to an answer, of which ``s3api`` may have made a Call."""
        call: Call | None = environ.get(KEY)
        try:
            if call is not None and call.bucket_record is not None:
                known: Sequence[Rule] | None = self._rules_in(call.bucket_record)
            else:
                known = self._rules_of(address.of_request(environ, self._domains)[0])
        except S3Error:  # of a path that is none, or a disk: the answer says it, or has said it
            return []
        if not known:
            return []
        origin = environ["HTTP_ORIGIN"]
        # Who says what the question was is answered as if it were asked.
        rule = cors.find(known, origin, environ.get(_METHOD) or environ["REQUEST_METHOD"])
        return [_VARY] if rule is None else _headers(rule, origin)

    def _rules_of(self, bucket: str | None) -> Sequence[Rule] | None:
        """Return the rules for a bucket, or the service; None where there is no bucket and none."""
        if bucket is None or self._provider is None:
            return self._usual
        try:
            rules.check_bucket(bucket)
            return self._rules_in(self._provider.bucket_facts(bucket))
        except S3Error as error:
            if error.code not in ("NoSuchBucket", "InvalidBucketName"):
                raise
            return self._usual or None

    def _rules_in(self, record: Any) -> Sequence[Rule]:
        stored = record.settings.get("cors")
        return self._usual if stored is None else cors.load(stored)


def _why_none(known: Sequence[Rule] | None) -> str | None:
    return "CORSResponse: Bucket not found" if known is None else None


def _names(text: str) -> list[str]:
    """Return the names of headers in a list of them, in lower case."""
    return [name for name in (word.strip().lower() for word in text.split(",")) if name]


def _headers(rule: Rule, origin: str, asked: Sequence[str] = ()) -> Headers:
    """Return the headers that tell a browser of a rule.

    :param asked: names of headers that the page wants to send

    A rule for every origin is told as ``*``, with which a browser sends no cookies.
    """
    everywhere = rule.everywhere
    found = [
        ("Access-Control-Allow-Origin", "*" if everywhere else origin),
        ("Access-Control-Allow-Methods", ", ".join(rule.methods)),
    ]
    if asked:
        found.append(("Access-Control-Allow-Headers", ", ".join(asked)))
    if rule.exposed:
        found.append(("Access-Control-Expose-Headers", ", ".join(rule.exposed)))
    if rule.max_age is not None:
        found.append(("Access-Control-Max-Age", str(rule.max_age)))
    if not everywhere:
        found.append(("Access-Control-Allow-Credentials", "true"))
    return [*found, _VARY]


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Callable[[App], Cors]:
    """PasteDeploy entry point ``egg:s3filters#cors``."""
    settings = options.read(Options, "filter:cors", global_conf, local_conf)
    return lambda app: Cors(app, settings)
