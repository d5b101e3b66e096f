"""AWS's canonical request: the one form of a request that both ends of a signature compute.

The functions carry the words of AWS, "Create a signed request" (Signature Version 4) and of its S3
remarks: the path is encoded once, and never normalised. Clients differ in what they leave encoded
(``~``, ``%2f``, ``%41``), so everything is decoded and encoded again; what is canonical already,
which is nearly every request, is recognised by one expression and taken as it is.
"""

from __future__ import annotations

import re
from operator import itemgetter
from urllib.parse import quote_from_bytes, unquote_to_bytes

from s3filters.sign.request import Request, decoded, environ_key

_UNRESERVED = r"[A-Za-z0-9\-._~]"
# A percent sequence that stays: upper case, and not of a character that goes unencoded.
_ESCAPE = r"%(?!2[DE]|3\d|4[1-9A-F]|5[\dAF]|6[1-9A-F]|7[\dAE])[\dA-F]{2}"
_WORD = rf"(?:{_UNRESERVED}++|{_ESCAPE})*+"  # possessive: never tried twice, whatever is sent
_canonical_path = re.compile(rf"(?:[A-Za-z0-9\-._~/]++|(?!%2F){_ESCAPE})*+", re.ASCII).fullmatch
_canonical_query = re.compile(rf"{_WORD}={_WORD}(?:&{_WORD}={_WORD})*", re.ASCII).fullmatch
_HARMLESS, _SHORT = 64, 64  # names that a list remembers, and characters of one
_UNKNOWN = (("", ""),)
_blanks = re.compile(r"[ \t]{2,}|\t")


def canonical_uri(path: str) -> str:
    """Return the path of a raw path: every byte but unreserved ones and ``/`` as ``%XX``."""
    if _canonical_path(path):
        return path or "/"
    return quote_from_bytes(unquote_to_bytes(path.encode("latin-1")), safe="/-_.~")


def canonical_query_string(query: str, leave_out: str | None = None) -> str:
    """Return the query of a raw query, sorted by name, then by value.

    :param leave_out: a decoded name that is no part of what was signed (X-Amz-Signature)
    """
    if not query:
        return ""
    if not _canonical_query(query):
        query = "&".join(_encoded(part) for part in query.split("&") if part)
    if leave_out is None and "&" not in query:
        return query
    # "=" has to sort before any other character, so that "a=2" comes before "a-b=1".
    parts = sorted(query.replace("=", "\x01").split("&"))
    if leave_out is not None:
        start = leave_out + "\x01"
        parts = [part for part in parts if not part.startswith(start)]
    return "&".join(parts).replace("\x01", "=")


def _encoded(part: str) -> str:
    name, _, value = part.partition("=")
    return f"{_uri_encode(decoded(name))}={_uri_encode(decoded(value))}"


def _uri_encode(text: str) -> str:
    return quote_from_bytes(text.encode("latin-1"), safe="-_.~")


def header_keys(signed_headers: str) -> tuple[tuple[str, str | None], ...]:
    """Return ``((name, environ key), …)`` of a SignedHeaders list, for ``canonical_headers``."""
    return tuple((name, environ_key(name)) for name in signed_headers.split(";"))


def trimmed(value: str) -> str:
    """Return a header's value with its inner runs of blanks made one."""
    if "  " in value or "\t" in value:
        value = _blanks.sub(" ", value)
    return value.strip(" ")


class SignedHeaders:
    """A SignedHeaders list (lower case), understood once for all requests that have it.

    ``text`` is the list as it was sent, ``names`` the set of its names.
    """

    __slots__ = ("_form", "_harmless", "_keys", "_values", "names", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.names = frozenset(text.split(";"))
        self._keys = header_keys(text)
        self._form = "".join(name.replace("%", "%%") + ":%s\n" for name, _ in self._keys)
        keys = [key for _, key in self._keys if key is not None]
        self._values = itemgetter(*keys) if len(keys) == len(self._keys) else None
        self._harmless: set[str] = set()  # names as they were sent that need not be signed, or are

    def lines(self, request: Request, host: str | None = None) -> str:
        """Return ``canonical_headers``, at once where no value holds a blank."""
        if host is None and self._values is not None:
            try:
                lines: str = self._form % self._values(request.environ)
            except KeyError:  # one of them was not sent
                pass
            else:
                if " " not in lines and "\t" not in lines:
                    return lines
        return canonical_headers(request, self._keys, host)

    def left_out(self, request: Request) -> list[str]:
        """Names, in lower case, of the ``x-amz-*`` headers that are sent and not in the list."""
        harmless = self._harmless
        for name, _ in request.environ.get("headers_raw", _UNKNOWN):
            if name not in harmless:
                break
        else:
            return []
        found = [name for name in request.amz_headers() if name not in self.names]
        if not found and len(harmless) < _HARMLESS:
            sent = (name for name, _ in request.environ.get("headers_raw", ()))
            harmless.update(name for name in sent if len(name) <= _SHORT)
        return found


def canonical_headers(
    request: Request, keys: tuple[tuple[str, str | None], ...], host: str | None = None
) -> str:
    """Return the lines of the signed headers.

    :param keys: of ``header_keys``
    :param host: a Host to take instead of the one that was sent
    """
    environ = request.environ
    lines = []
    for name, key in keys:
        value = environ.get(key, "") if key is not None else request.header(name) or ""
        if host is not None and name == "host":
            value = host
        lines.append(f"{name}:{trimmed(value)}\n")
    return "".join(lines)
