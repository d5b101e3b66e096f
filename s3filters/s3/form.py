"""A browser's form as it is sent: fields, then one file that is never held as a whole.

It takes ``multipart/form-data`` apart and knows no field's meaning. What stands before the file is
bounded, the file is a Source that ends exactly where its part does, wherever the pieces are cut in
which it comes, and what stands after it is read and ignored.
Sources: RFC 7578; RFC 2046, section 5.1.1; AWS API reference, "POST Object".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s3filters.s3 import rules
from s3filters.s3.body import Body, source_of
from s3filters.s3.errors import S3Error

FIELDS_BYTES = 20 << 10  # all that stands before the file, boundaries too (AWS: 20 KB)
FIELDS = 256
TAIL_BYTES = 20 << 10  # all that stands after the file
FILE = "file"  # the name of the file's field; others may have a file name and are fields

_WINDOW = 1 << 16  # bytes; more than what stands before the file
_TYPE = "multipart/form-data"
_BOUNDARY = re.compile(
    r";[ \t]*boundary=(?:\"([0-9A-Za-z'()+_,\-./:=? ]{1,70})\"|([^\s\";,]{1,70}))[ \t]*(?:;|\Z)",
    re.IGNORECASE | re.ASCII,
)
_DISPOSITION = re.compile(rb"form-data[ \t]*(;.*)?", re.IGNORECASE | re.DOTALL)
# Browsers write %22 for a quote within quotes, others \"; a \ before anything else is one of a path
_PARAMETER = re.compile(
    rb';[ \t]*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)=(?:"((?:\\"|[^"])*)"|([^\s";]*))[ \t]*', re.ASCII
)
_PLAIN_ENCODINGS = (b"7bit", b"8bit", b"binary")
_BEHIND = re.compile(rb"--|[ \t]*\r\n")  # what may follow a boundary


class _Window:
    """Bytes that were received and not yet taken.

    :param room: bytes that may be taken before ``until`` refuses
    """

    def __init__(self, body: Body, room: int) -> None:
        self.data = bytearray(_WINDOW)
        self.view = memoryview(self.data)
        self.data[:2] = b"\r\n"  # the first boundary stands at the beginning of a line as well
        self.begin, self.end = 0, 2
        self._body = body
        self._room = room + 2

    def receive(self) -> bool:
        """Wait for more bytes; False at the end of the request."""
        if self.begin:
            left = self.end - self.begin
            self.view[:left] = self.view[self.begin : self.end]
            self.begin, self.end = 0, left
        count = self._body.readinto(self.view[self.end :])
        self.end += count
        return count > 0

    def until(self, word: bytes) -> bytes:
        """Take and return what stands before a word, and pass the word.

        Raise MalformedPOSTRequest when it does not come, MaxPostPreDataLengthExceededError when it
        is too far.
        """
        searched = 0
        while (found := self.data.find(word, self.begin + searched, self.end)) < 0:
            held = self.end - self.begin
            searched = max(0, held - len(word) + 1)
            if searched > self._room:
                raise S3Error("MaxPostPreDataLengthExceededError")
            if not self.receive():
                raise S3Error("MalformedPOSTRequest")
        taken = bytes(self.view[self.begin : found])
        self._room -= len(taken) + len(word)
        if self._room < 0:
            raise S3Error("MaxPostPreDataLengthExceededError")
        self.begin = found + len(word)
        return taken


class FilePart:
    """The file of a form, as a Source.

    ``least`` and ``most`` are the bytes that it must and may have. Raise EntityTooLarge as soon as
    more have come, EntityTooSmall at the end, MalformedPOSTRequest when the form does not end.
    """

    def __init__(self, window: _Window, delimiter: bytes) -> None:
        self.least, self.most = 0, rules.PUT_BYTES
        self._window = window
        self._delimiter = delimiter
        self._given = 0
        self._sure = 0  # received bytes, the first of the window, that are known to be the file's
        self._complete = False  # nothing of the file is behind them

    def readinto(self, view: memoryview, /) -> int:
        """Fill some of the view; 0 at the end of the file."""
        if not self._sure and not self._complete:
            self._look()
        count = min(self._sure, len(view))
        begin = self._window.begin
        view[:count] = self._window.view[begin : begin + count]
        self._window.begin += count
        self._sure -= count
        self._given += count
        return count

    def _look(self) -> None:
        """Find out how many of the next bytes are the file's: the last ones may be a boundary's."""
        window = self._window
        while not self._sure and not self._complete:
            found = window.data.find(self._delimiter, window.begin, window.end)
            if found >= 0:
                self._sure, self._complete = found - window.begin, True
            else:
                self._sure = max(0, window.end - window.begin - len(self._delimiter) + 1)
                if not self._sure and not window.receive():
                    raise S3Error("MalformedPOSTRequest")
        size = self._given + self._sure
        if size > self.most:
            raise S3Error("EntityTooLarge", ProposedSize=size, MaxSizeAllowed=self.most)

    def finish(self) -> None:
        """Check that the file was large enough, and that the form ends."""
        if self._given < self.least:
            size = self._given
            raise S3Error("EntityTooSmall", ProposedSize=size, MinSizeAllowed=self.least)
        window = self._window
        window.begin += len(self._delimiter)
        more = True
        while more:
            if window.end - window.begin > TAIL_BYTES:
                raise S3Error("MaxMessageLengthExceeded")
            more = window.receive()
        tail = bytes(window.view[window.begin : window.end])
        ends = tail.startswith(b"--") or self._delimiter + b"--" in tail
        if not ends or not _BEHIND.match(tail):
            raise S3Error("MalformedPOSTRequest")


@dataclass(slots=True)
class Form:
    """A form that was read up to its file.

    ``fields`` are by lower-case name and without the file; ``filename`` is what the client calls
    the file, without folders, "" when it says nothing.
    """

    fields: dict[str, str]
    filename: str
    file: FilePart


class PostedFile(Body):
    """The file of a form as the body of its request, which no one knows the length of."""

    __slots__ = ("form",)

    def __init__(self, form: Form) -> None:
        super().__init__(form.file, None)
        self.form = form


def announced(environ: Mapping[str, Any]) -> bool:
    """True when the request says that its body is a form."""
    kind: str = environ.get("CONTENT_TYPE", "")
    return kind.partition(";")[0].strip().lower() == _TYPE


def read(environ: Mapping[str, Any], length: int | None) -> Form:
    """Read a form up to its file.

    :param length: of the request's body in bytes. Raise MissingContentLength for None

    Raise MalformedPOSTRequest, MaxPostPreDataLengthExceededError, and InvalidArgument for a field
    that comes twice or a form without a file.
    """
    if length is None:
        raise S3Error("MissingContentLength")
    match = _BOUNDARY.search(environ.get("CONTENT_TYPE", ""))
    if match is None:
        raise S3Error("MalformedPOSTRequest")
    delimiter = b"\r\n--" + (match[1] or match[2]).rstrip(" ").encode("latin-1")
    window = _Window(Body(source_of(environ["wsgi.input"]), length), FIELDS_BYTES)
    window.until(delimiter)
    fields: dict[str, str] = {}
    while True:
        name, filename = _next_part(window)
        if name == FILE:
            return Form(fields, re.split(r"[/\\]", filename)[-1], FilePart(window, delimiter))
        if name in fields:
            message = f"Bucket POST must contain the field '{name}' once."
            raise S3Error("InvalidArgument", message, ArgumentName=name)
        if len(fields) == FIELDS:
            raise S3Error("MalformedPOSTRequest")
        fields[name] = _text(window.until(delimiter))


def _next_part(window: _Window) -> tuple[str, str]:
    """Take what follows a boundary and the head of a part: its name (lower case) and file name."""
    behind = window.until(b"\r\n") + b"\r\n"
    if behind.startswith(b"--"):
        message = "POST requires exactly one file upload per request."
        raise S3Error("InvalidArgument", message, ArgumentName=FILE, ArgumentValue=0)
    if not _BEHIND.fullmatch(behind):
        raise S3Error("MalformedPOSTRequest")
    head: dict[bytes, bytes] = {}
    for line in window.until(b"\r\n\r\n").split(b"\r\n"):
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or name in head or name != name.strip():
            raise S3Error("MalformedPOSTRequest")
        head[name] = value.strip()
    if head.get(b"content-transfer-encoding", b"binary").lower() not in _PLAIN_ENCODINGS:
        raise S3Error("MalformedPOSTRequest")
    return _names(head.get(b"content-disposition", b""))


def _names(disposition: bytes) -> tuple[str, str]:
    match = _DISPOSITION.fullmatch(disposition)
    rest = (match[1] or b"") if match else b""
    found: dict[bytes, bytes] = {}
    while part := _PARAMETER.match(rest):
        word = part[1].lower()
        if word in found:
            raise S3Error("MalformedPOSTRequest")
        found[word] = part[3] if part[2] is None else part[2].replace(b'\\"', b'"')
        rest = rest[part.end() :]
    name = _text(found.get(b"name", b"")).lower()
    if rest.strip(b"; \t") or not name:
        raise S3Error("MalformedPOSTRequest")
    return name, _text(found.get(b"filename", b""))


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeError as error:
        raise S3Error("MalformedPOSTRequest") from error
