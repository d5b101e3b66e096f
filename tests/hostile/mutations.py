"""Requests that nobody should send, made from requests that somebody would.

Every family is a function of a seeded ``Random`` and a ``Signer`` that returns a ``Hostile``: the
bytes to send. Most are signed after they were mutated, so they pass authentication and reach the
layers behind it. A seed and a number name a request for ever.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from tests import forms
from tests.hostile.words import (
    BUCKET,
    DOCUMENTS,
    EVIL,
    FIELDS,
    HEADERS,
    METHODS,
    QUERIES,
    RULES,
    USUAL_METHODS,
    VALUES,
)
from tests.raw import EMPTY_SHA256, Signer


@dataclass(frozen=True)
class Hostile:
    """A request as bytes, and the method by which its reply must be read."""

    family: str
    method: str
    data: bytes


def hostile(seed: int, number: int, signer: Signer) -> Hostile:
    """The request of a number: families take turns."""
    dice = Random(seed * 1_000_003 + number)
    family = tuple(FAMILIES)[number % len(FAMILIES)]
    method, data = FAMILIES[family](dice, signer)
    return Hostile(family, method, data)


def render(
    signer: Signer,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    payload: str = "UNSIGNED-PAYLOAD",
) -> bytes:
    """A signed request with a right Content-Length, unless the headers frame it otherwise."""
    lines = signer.headers(method, target, headers, payload)
    if not {"content-length", "transfer-encoding"} & {name.lower() for name in lines}:
        lines["Content-Length"] = str(len(body))
    return assemble(method, target, lines, body)


def assemble(method: str, target: str, lines: Mapping[str, str], body: bytes) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("utf-8", "surrogateescape") + body


def as_text(raw: str) -> str:
    """Text whose latin-1 bytes are the UTF-8 of what was meant, as a header goes on the wire."""
    return raw.encode().decode("latin-1")


def mostly(dice: Random, usual: str, odd: tuple[str, ...], share: float = 0.15) -> str:
    """The usual word, or at times another, so that most requests get to the next check."""
    return dice.choice(odd) if dice.random() < share else usual


def path(dice: Random) -> str:
    first = dice.choice((BUCKET, BUCKET, BUCKET, dice.choice(EVIL)))
    words = [first, *(dice.choice(EVIL) for _ in range(dice.randrange(4)))]
    return "/" + dice.choice(("/", "/", "/", "", "//", "%2f")).join(words)


def query(dice: Random) -> str:
    pairs = (
        f"{dice.choice(QUERIES)}{dice.choice(('=', '=', '=', ''))}{dice.choice(VALUES)}"
        for _ in range(dice.randrange(1, 4))
    )
    return "&".join(pair.replace(" ", "%20").replace("\t", "%09") for pair in pairs)


def paths(dice: Random, signer: Signer) -> tuple[str, bytes]:
    method, target = dice.choice(USUAL_METHODS), path(dice)
    return method, _latin(signer, method, target, {}, b"x" * dice.randrange(9))


def queries(dice: Random, signer: Signer) -> tuple[str, bytes]:
    method = dice.choice(USUAL_METHODS)
    target = dice.choice(("/", f"/{BUCKET}", f"/{BUCKET}/file", path(dice))) + "?" + query(dice)
    return method, _latin(signer, method, target, {}, dice.choice((b"", b"<a/>", b"x")))


def headers(dice: Random, signer: Signer) -> tuple[str, bytes]:
    method = dice.choice(USUAL_METHODS)
    target = dice.choice(("/", f"/{BUCKET}", f"/{BUCKET}/file", f"/{BUCKET}/new{dice.random()}"))
    chosen = {dice.choice(HEADERS): dice.choice(VALUES) for _ in range(dice.randrange(1, 5))}
    return method, _latin(signer, method, target, chosen, b"x" * dice.randrange(20))


def methods(dice: Random, signer: Signer) -> tuple[str, bytes]:
    method = dice.choice(METHODS)
    return method, _latin(signer, method, f"/{BUCKET}/file", {}, b"")


def _latin(
    signer: Signer, method: str, target: str, lines: Mapping[str, str], body: bytes
) -> bytes:
    """Sign and assemble with every character as the latin-1 of its UTF-8 bytes."""
    wire = {as_text(name): as_text(value) for name, value in lines.items()}
    data = signer.headers(method, as_text(target), wire)
    data.setdefault("Content-Length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in data.items())
    return f"{method} {as_text(target)} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def documents(dice: Random, signer: Signer) -> tuple[str, bytes]:
    body = mutate(dice, dice.choice(DOCUMENTS), dice.randrange(3))
    method, target = dice.choice((("POST", f"/{BUCKET}?delete"), ("PUT", f"/new-{dice.random()}")))
    lines = {"Content-MD5": md5_of(body)}
    return method, render(signer, method, target, lines, body, hashlib.sha256(body).hexdigest())


def md5_of(body: bytes) -> str:
    """What Content-MD5 says of a body."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def mutate(dice: Random, data: bytes, times: int) -> bytes:
    """Flip, drop, double, cut or insert bytes."""
    out = bytearray(data)
    for _ in range(times if out else 0):
        at = dice.randrange(len(out)) if out else 0
        match dice.randrange(5):
            case 0:
                out[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                del out[at : at + dice.randrange(1, 9)]
            case 2:
                out[at:at] = out[at : at + dice.randrange(1, 30)]
            case 3:
                del out[at:]
            case _:
                out[at:at] = dice.choice((b"\0", b"\r\n", b"\n", b" ", b"\xff", b"\t", b":", b";"))
    return bytes(out)


def posted(dice: Random, signer: Signer) -> tuple[str, bytes]:
    """A browser's form with odd fields, signed for them, its bytes broken here and there."""
    odd = {dice.choice((*HEADERS, *FIELDS)): dice.choice(VALUES) for _ in range(dice.randrange(4))}
    said = {"key": dice.choice(("form", "form", "in/${filename}", dice.choice(EVIL))), **odd}
    sign = dice.choice(
        (forms.signed_v4, forms.signed_v4, forms.signed_v2, lambda fields, **_: fields)
    )
    whole = sign({name: _clean(value) for name, value in said.items()}, bucket=BUCKET)
    data = dice.randbytes(dice.choice((0, 5, 100_000)))
    body = forms.form(whole, data, _clean(dice.choice(EVIL)).replace('"', ""))
    body = mutate(dice, body, dice.choice((0, 0, 1, 3)))
    kind = mostly(dice, forms.TYPE, VALUES, 0.05)
    lines = {"Host": signer.host, "Content-Type": as_text(kind), "Content-Length": str(len(body))}
    return "POST", _as_bytes("POST", f"/{BUCKET}", lines, body)


def _clean(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


def origins(dice: Random, signer: Signer) -> tuple[str, bytes]:
    """A preflight, rules for one, or a request of a page, each with an odd word in it."""
    target = dice.choice(("/", f"/{BUCKET}", f"/{BUCKET}/file", path(dice)))
    sent = {
        "Origin": mostly(dice, "https://app.example", VALUES),
        "Access-Control-Request-Method": mostly(dice, dice.choice(METHODS), VALUES),
        "Access-Control-Request-Headers": mostly(dice, "content-type, x-amz-date", VALUES),
    }
    for name in tuple(sent):
        if dice.random() < 0.2:
            del sent[name]
    kind = dice.randrange(3)
    if kind == 0:
        body = mutate(dice, RULES, dice.choice((0, 0, 1, 2)))
        sent["Content-MD5"] = md5_of(body)
        return "PUT", _latin(signer, "PUT", f"/{BUCKET}?cors", sent, body)
    method = "OPTIONS" if kind == 1 else dice.choice(("GET", "HEAD", "DELETE"))
    return method, _latin(signer, method, target, sent, b"")


def chunked_signed(dice: Random, signer: Signer) -> tuple[str, bytes]:
    """aws-chunked with signed chunks, broken in its framing, its signatures or its lengths."""
    data = dice.randbytes(dice.choice((0, 1, 100, 9000)))
    length = len(data) + dice.choice((0, 0, 0, 1, -1, 10**6))
    lines = {
        "Content-Encoding": "aws-chunked",
        "x-amz-decoded-content-length": mostly(dice, str(length), VALUES),
    }
    target = f"/{BUCKET}/chunked"
    payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    signed = signer.headers("PUT", target, {n: as_text(v) for n, v in lines.items()}, payload)
    body = sign_chunks(signer, signed, [data[:4096], data[4096:]] if len(data) > 4096 else [data])
    body = mutate(dice, body, dice.randrange(3))
    signed["Content-Length"] = str(len(body))
    return "PUT", _as_bytes("PUT", target, signed, body)


def sign_chunks(signer: Signer, signed: Mapping[str, str], chunks: list[bytes]) -> bytes:
    """The chunks and the last, empty one, each signed over the one before."""
    previous = signed["Authorization"].rpartition("Signature=")[2]
    now = signed["x-amz-date"]
    scope = f"{now[:8]}/{signer.region}/s3/aws4_request"
    out = b""
    for chunk in [*(chunk for chunk in chunks if chunk), b""]:
        digest = hashlib.sha256(chunk).hexdigest()
        text = "\n".join(("AWS4-HMAC-SHA256-PAYLOAD", now, scope, previous, EMPTY_SHA256, digest))
        previous = hmac.new(signer.key(now[:8]), text.encode(), hashlib.sha256).hexdigest()
        out += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + b"\r\n"
    return out


def chunked_trailer(dice: Random, signer: Signer) -> tuple[str, bytes]:
    """aws-chunked without signatures but with a checksum behind it."""
    data = dice.randbytes(dice.choice((0, 5, 5000)))
    trailer = mostly(dice, dice.choice(("x-amz-checksum-crc32", "x-amz-checksum-sha256")), HEADERS)
    right = base64.b64encode(
        zlib.crc32(data).to_bytes(4, "big")
        if trailer == "x-amz-checksum-crc32"
        else hashlib.sha256(data).digest()
    )
    value = mostly(dice, right.decode(), VALUES)
    chunk = f"{len(data):x}\r\n".encode() + data + b"\r\n" if data else b""
    body = chunk + b"0\r\n" + f"{as_text(trailer)}:{as_text(value)}\r\n\r\n".encode("latin-1")
    length = len(data) + dice.choice((0, 0, 0, 0, 1, -1))
    lines = {
        "Content-Encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(length),
        "x-amz-trailer": as_text(mostly(dice, trailer, VALUES)),
    }
    target, payload = f"/{BUCKET}/trailed", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    signed = signer.headers("PUT", target, lines, payload)
    body = mutate(dice, body, dice.randrange(3))
    signed["Content-Length"] = str(len(body))
    return "PUT", _as_bytes("PUT", target, signed, body)


def chunked_http(dice: Random, signer: Signer) -> tuple[str, bytes]:
    """Transfer-Encoding: chunked, broken; also beside a Content-Length, as smugglers do."""
    data = dice.choice((b"", b"x", dice.randbytes(300), DOCUMENTS[0], DOCUMENTS[1]))
    body = (f"{len(data):x}\r\n".encode() + data + b"\r\n" if data else b"") + b"0\r\n\r\n"
    body = mutate(dice, body, dice.randrange(3))
    lines = {"Transfer-Encoding": mostly(dice, "chunked", ("Chunked", "gzip, chunked", "x", " "))}
    if dice.random() < 0.2:
        lines["Content-Length"] = dice.choice((str(len(body)), "0", "-1", "1", "+5", "5, 5", "٣"))
    method, target, meant = dice.choice(
        (
            ("POST", f"/{BUCKET}?delete", {"Content-MD5": md5_of(data)}),
            ("PUT", f"/new-{dice.random()}", {}),
            ("PUT", f"/{BUCKET}/te", {"x-amz-decoded-content-length": str(len(data))}),
        )
    )
    signed = signer.headers(method, target, meant)
    return method, assemble(method, target, signed | lines, body)


def lengths(dice: Random, signer: Signer) -> tuple[str, bytes]:
    """A Content-Length that is not one, or not the body's."""
    lines = signer.headers("PUT", f"/{BUCKET}/length")
    length = dice.choice(
        (*VALUES, "3", "9", "1000000", "5368709121", "5497558138881", "3\r\nContent-Length: 4")
    )
    lines["Content-Length"] = length
    return "PUT", _as_bytes("PUT", f"/{BUCKET}/length", lines, b"x" * dice.choice((0, 3, 4, 9)))


def signatures(dice: Random, signer: Signer) -> tuple[str, bytes]:
    """An Authorization header, or a presigned query, with something wrong in it."""
    lines = signer.headers("GET", f"/{BUCKET}/file", {}, EMPTY_SHA256)
    name = dice.choice(
        ("Authorization", "Authorization", "x-amz-date", "x-amz-content-sha256", "Host")
    )
    broken = mutate(dice, lines[name].encode("latin-1"), dice.randrange(1, 4)).decode("latin-1")
    lines[name] = dice.choice((broken, broken, as_text(dice.choice(VALUES))))
    if dice.random() < 0.2:
        lines.pop(dice.choice(tuple(lines)))
    return "GET", _as_bytes("GET", f"/{BUCKET}/file", lines, b"")


def presigned(dice: Random, signer: Signer) -> tuple[str, bytes]:
    """A presigned URL over an odd target or with an odd lifetime, some bent after signing."""
    method = dice.choice(USUAL_METHODS)
    plain = f"/{BUCKET}/{dice.choice(('file', 'none', dice.choice(EVIL)))}"
    target = as_text(dice.choice((plain, f"{plain}?{query(dice)}")))
    lifetime = as_text(dice.choice(("60", "60", "604801", dice.choice(VALUES))))
    url = signer.presigned(method, target, lifetime)
    if dice.random() < 0.3:
        url = mutate(dice, url.encode("latin-1"), 1).decode("latin-1")
    lines = {"Host": signer.host, "Content-Length": "0"}
    return method, _as_bytes(method, url, lines, b"")


def heads(dice: Random, signer: Signer) -> tuple[str, bytes]:
    """Bytes of a good request flipped anywhere, line ends and separators too."""
    method = dice.choice(("GET", "PUT", "HEAD"))
    body = b"body" if method == "PUT" else b""
    data = render(signer, method, f"/{BUCKET}/head", {"x-amz-meta-a": "b"}, body)
    return method, mutate(dice, data, dice.randrange(1, 6))


def floods(dice: Random, signer: Signer) -> tuple[str, bytes]:
    """Too long lines, too many headers, folded ones, underscores, and two requests in one."""
    many = {f"x-amz-meta-{number}": "v" for number in range(dice.choice((50, 300)))}
    long = {"x-amz-meta-long": "v" * dice.choice((2000, 9000, 70_000))}
    folded = {"x-amz-meta-a": "b\r\n c"}
    lines = dice.choice(
        (many, long, folded, {"x_amz_meta": "a"}, {" x": "y"}, {"x ": "y"}, {"": "y"})
    )
    target = dice.choice(
        (f"/{BUCKET}/flood", f"/{BUCKET}/" + "k" * dice.choice((1025, 9000, 70_000)))
    )
    data = assemble("GET", target, signer.headers("GET", target) | lines, b"")
    return "GET", data * dice.choice((1, 1, 2, 5))


def _as_bytes(method: str, target: str, lines: Mapping[str, str], body: bytes) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    whole = f"{method} {target} HTTP/1.1\r\n{head}\r\n"
    return whole.encode("latin-1", "replace") + body


FAMILIES: dict[str, Callable[[Random, Signer], tuple[str, bytes]]] = {
    "paths": paths,
    "queries": queries,
    "headers": headers,
    "methods": methods,
    "documents": documents,
    "forms": posted,
    "origins": origins,
    "chunks signed": chunked_signed,
    "chunks with trailer": chunked_trailer,
    "chunks of HTTP": chunked_http,
    "lengths": lengths,
    "signatures": signatures,
    "presigned": presigned,
    "heads": heads,
    "floods": floods,
}
