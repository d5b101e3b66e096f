"""A form is taken apart the same way wherever its pieces are cut, and ends where it says."""

import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3 import form
from s3filters.s3.errors import S3Error
from s3filters.s3.form import PostedFile
from tests import forms
from tests.forms import BOUNDARY, end, file_part, part

KEY = {"key": "k"}
NEAR = b"\r\n--" + BOUNDARY.encode()


class Pieces:
    """An input that comes in pieces of given sizes, the last of them for all that is left."""

    def __init__(self, data, sizes=(1 << 20,)):
        self._data = io.BytesIO(data)
        self._sizes = list(sizes)

    def readinto(self, view):
        size = self._sizes.pop(0) if len(self._sizes) > 1 else self._sizes[0]
        data = self._data.read(min(size, len(view)))
        view[: len(data)] = data
        return len(data)


def read(data, kind=forms.TYPE, length=-1, sizes=(1 << 20,)):
    environ = {"CONTENT_TYPE": kind, "wsgi.input": Pieces(data, sizes)}
    return form.read(environ, len(data) if length == -1 else length)


def file_of(found, step=1 << 16):
    body, taken = PostedFile(found), bytearray()
    view = memoryview(bytearray(step))
    while count := body.readinto(view):
        taken += view[:count]
    return bytes(taken)


def whole(data, kind=forms.TYPE, **more):
    found = read(data, kind, **more)
    return found.fields, found.filename, file_of(found)


def refused(data, kind=forms.TYPE, **more):
    with pytest.raises(S3Error) as caught:
        whole(data, kind, **more)
    return caught.value.code


def test_fields_have_lower_case_names_and_their_text():
    fields = {"Key": "a b", "X-Amz-Meta-Colour": "grün", "empty": "", "lines": "a\r\nb\n"}
    assert whole(forms.form(fields, b"data")) == (
        {"key": "a b", "x-amz-meta-colour": "grün", "empty": "", "lines": "a\r\nb\n"},
        "letter.txt",
        b"data",
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"--" + BOUNDARY.encode(),
        b"\r" + NEAR[:-1],
        NEAR[:-1] + b"\r\n",
        NEAR[:-1] * 300,
        b"\n--" + BOUNDARY.encode() + b"--\r\n",
        bytes(range(256)) * 1000,
    ],
    ids=range(8),
)
@pytest.mark.parametrize("sizes", [(1,), (2,), (7, 3, 5), (1 << 20,), (65535,)], ids=str)
def test_a_file_is_every_byte_before_its_boundary(data, sizes):
    if len(data) > 10_000 and sizes[0] < 10:
        data = data[:10_000]
    assert whole(forms.form(KEY, data), sizes=sizes)[2] == data


@given(
    data=st.binary(max_size=300)
    | st.lists(st.sampled_from([NEAR[:-1], b"\r\n", b"-", b"x", b"\r"]), max_size=40).map(b"".join),
    sizes=st.lists(st.integers(1, 90), min_size=1, max_size=40),
    step=st.integers(1, 200),
)
def test_it_makes_no_difference_where_the_pieces_are_cut(data, sizes, step):
    found = read(forms.form({"key": "k", "other": "words"}, data), sizes=sizes)
    assert found.fields == {"key": "k", "other": "words"}
    assert file_of(found, step) == data


def test_a_large_file_is_never_held():
    size = 64 << 20
    head, tail = part("key", "k") + file_part(b"")[:-2], b"\r\n" + end()

    class Large:
        def __init__(self):
            self.left, self.begin, self.end = size, io.BytesIO(head), io.BytesIO(tail)

        def readinto(self, view):
            count = self.begin.readinto(view)
            if not count and self.left:
                count = min(self.left, len(view))
                view[:count] = bytes(count)
                self.left -= count
            return count or self.end.readinto(view)

    environ = {"CONTENT_TYPE": forms.TYPE, "wsgi.input": Large()}
    tracemalloc.start()
    try:
        body = PostedFile(form.read(environ, len(head) + size + len(tail)))
        view, total = memoryview(bytearray(1 << 16)), 0
        while count := body.readinto(view):
            total += count
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == size
    assert peak < 1 << 20


# --- what a form may look like -----------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        f"multipart/form-data; boundary={BOUNDARY}",
        f'Multipart/Form-Data; charset=utf-8; Boundary="{BOUNDARY}"',
        f"multipart/form-data;boundary={BOUNDARY} ; x=y",
    ],
)
def test_the_boundary_stands_in_the_content_type(kind):
    assert whole(forms.form(KEY), kind)[2] == b"hello"


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        f"multipart/form-data; boundary={'b' * 71}",
        f'multipart/form-data; boundary="{BOUNDARY}',
        f"multipart/form-data; xboundary={BOUNDARY}",
    ],
)
def test_a_form_without_a_boundary_is_none(kind):
    assert refused(forms.form(KEY), kind) == "MalformedPOSTRequest"


def test_a_boundary_with_blanks_in_quotes_is_one():
    data = part("key", "k", boundary="a b") + file_part(b"x", boundary="a b") + end("a b")
    assert whole(data, 'multipart/form-data; boundary="a b"')[2] == b"x"


def test_what_stands_before_the_first_boundary_is_ignored():
    assert whole(b"preamble\r\n" + forms.form(KEY))[0] == KEY
    assert whole(b"\r\n" + forms.form(KEY))[0] == KEY


def test_fields_after_the_file_are_ignored():
    assert whole(forms.form(KEY, b"data", after=part("acl", "public-read")))[0] == KEY


def test_blanks_behind_a_boundary_are_let_through():
    data = forms.form(KEY).replace(BOUNDARY.encode() + b"\r\n", BOUNDARY.encode() + b" \t\r\n")
    assert whole(data) == (KEY, "letter.txt", b"hello")


@pytest.mark.parametrize("tail", [b"", b"\r\n", b"\r\nepilogue", b"\r\n" + b"x" * 20_000])
def test_what_follows_the_end_is_ignored(tail):
    assert whole(forms.form(KEY)[:-2] + tail)[2] == b"hello"


@pytest.mark.parametrize("sizes", [(1 << 20,), (100,)], ids=str)
def test_much_after_the_file_is_refused_however_it_comes(sizes):
    for size in (21_000, 40_000, 100_000):
        code = refused(forms.form(KEY) + b"x" * size, sizes=sizes)
        assert code == "MaxMessageLengthExceeded"


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("letter.txt", "letter.txt"),
        ("C:\\\\Documents\\letter.txt", "letter.txt"),
        ("../../etc/passwd", "passwd"),
        ("/", ""),
        ("", ""),
        ('a \\"b\\".txt', 'a "b".txt'),
        ("grün.txt", "grün.txt"),
        ("a;b=c.txt", "a;b=c.txt"),
    ],
)
def test_a_file_name_has_no_folders(sent, name):
    data = part("file", b"x", f'; filename="{sent}"') + end()
    assert whole(data)[1] == name


def test_a_file_without_a_file_name_is_one_and_a_named_field_is_a_field():
    data = part("note", "text", '; filename="note.txt"') + part("file", b"x") + end()
    assert whole(data) == ({"note": "text"}, "", b"x")


def test_names_without_quotes_and_heads_in_any_case_are_read():
    head = b"CONTENT-DISPOSITION:form-data;NAME=Key\r\ncontent-transfer-encoding: 8BIT\r\n\r\n"
    data = b"--" + BOUNDARY.encode() + b"\r\n" + head + b"k\r\n" + file_part(b"x") + end()
    assert whole(data)[0] == KEY


# --- what is none ------------------------------------------------------------------------------


def raw(head):
    return b"--" + BOUNDARY.encode() + b"\r\n" + head + b"\r\n\r\nvalue\r\n" + file_part(b"x")


MALFORMED = {
    "nothing": b"",
    "no boundary": b"hello",
    "another boundary": forms.form(KEY).replace(BOUNDARY.encode(), b"--other"),
    "words behind a boundary": forms.form(KEY).replace(
        BOUNDARY.encode() + b"\r\n", BOUNDARY.encode() + b"words\r\n", 1
    ),
    "a boundary in the file": forms.form(KEY, b"a" + NEAR + b"words"),
    "no end": forms.form(KEY)[: -len(end())],
    "an end without its hyphens": forms.form(KEY)[:-4] + b"\r\n",
    "a file cut off": part("key", "k") + file_part(b"data")[:-3],
    "a field cut off": part("key", "k")[:-2],
    "a head cut off": part("key", "k")[:50],
    "no name": raw(b"Content-Disposition: form-data"),
    "an empty name": raw(b'Content-Disposition: form-data; name=""'),
    "no disposition": raw(b"Content-Type: text/plain"),
    "another disposition": raw(b'Content-Disposition: attachment; name="key"'),
    "two names": raw(b'Content-Disposition: form-data; name="key"; name="acl"'),
    "two dispositions": raw(b"\r\n".join([b'Content-Disposition: form-data; name="key"'] * 2)),
    "a name that does not end": raw(b'Content-Disposition: form-data; name="key'),
    "words behind a name": raw(b'Content-Disposition: form-data; name="key" words'),
    "a name that is no text": raw(b'Content-Disposition: form-data; name="\xff"'),
    "a value that is no text": part("key", b"\xff") + file_part(b"x") + end(),
    "a blank before a colon": raw(b'Content-Disposition : form-data; name="key"'),
    "a line without a colon": raw(b'Content-Disposition: form-data; name="key"\r\nwords'),
    "an encoding": raw(
        b'Content-Disposition: form-data; name="key"\r\nContent-Transfer-Encoding: base64'
    ),
    "very many fields": forms.form([(f"f{n}", "") for n in range(257)]),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("sizes", [(1 << 20,), (3,)], ids=str)
def test_what_is_no_form_is_refused(data, sizes):
    if len(data) > 15_000:
        sizes = (1000,)
    assert refused(data, sizes=sizes) == "MalformedPOSTRequest"


def test_a_form_without_a_file_is_refused():
    with pytest.raises(S3Error, match="exactly one file") as caught:
        read(forms.form(KEY, None))
    assert caught.value.code == "InvalidArgument"
    assert caught.value.detail["ArgumentName"] == "file"


def test_a_field_that_comes_twice_is_refused():
    assert refused(forms.form([("key", "a"), ("KEY", "b")])) == "InvalidArgument"


def test_a_form_that_does_not_say_its_length_is_refused():
    assert refused(forms.form(KEY), length=None) == "MissingContentLength"


def test_a_form_that_is_shorter_than_its_length_is_incomplete():
    data = forms.form(KEY)
    assert refused(data[:-20], length=len(data)) == "IncompleteBody"
    assert refused(data[:40], length=len(data)) == "IncompleteBody"


@pytest.mark.parametrize("sizes", [(1 << 20,), (500,)], ids=str)
@pytest.mark.parametrize(
    "data",
    [
        forms.form({"key": "k" * 21_000}),
        forms.form([(f"x-ignore-{n}", "v" * 200) for n in range(90)]),
        part("key", "k", "\r\nX: " + "y" * 21_000) + file_part(b"") + end(),
        b"preamble" * 3000 + forms.form(KEY),
        b"x" * 200_000,
    ],
    ids=["value", "fields", "head", "preamble", "no form"],
)
def test_what_stands_before_the_file_is_bounded(data, sizes):
    assert refused(data, sizes=sizes) == "MaxPostPreDataLengthExceededError"


def test_the_bound_holds_to_the_byte():
    room = form.FIELDS_BYTES - len(part("key", "") + file_part(b"")) + 2
    # the line break before the boundary of the end belongs to the end
    assert whole(forms.form({"key": "k" * room}, b"data"))[2] == b"data"
    code = refused(forms.form({"key": "k" * (room + 1)}, b"data"))
    assert code == "MaxPostPreDataLengthExceededError"


# --- the size of the file ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("least", "most", "code"),
    [(5, 5, None), (0, 4, "EntityTooLarge"), (6, 9, "EntityTooSmall"), (9, 6, "EntityTooSmall")],
)
def test_a_file_must_be_as_large_as_it_may(least, most, code):
    found = read(forms.form(KEY, b"hello"))
    found.file.least, found.file.most = least, most
    if code is None:
        assert file_of(found) == b"hello"
        return
    with pytest.raises(S3Error) as caught:
        file_of(found)
    assert caught.value.code == code


def test_a_file_that_is_too_large_is_not_read_to_its_end():
    found = read(forms.form(KEY, b"x" * 1_000_000), sizes=(1000,))
    found.file.most = 5000
    body, taken = PostedFile(found), 0
    with pytest.raises(S3Error, match="EntityTooLarge"):
        while True:
            taken += body.readinto(memoryview(bytearray(1 << 16)))
    assert taken <= 5000


@pytest.mark.parametrize(
    ("kind", "is_form"),
    [
        ("multipart/form-data; boundary=x", True),
        ("MULTIPART/FORM-DATA", True),
        ("multipart/form-data2", False),
        ("application/x-www-form-urlencoded", False),
        ("", False),
    ],
)
def test_a_request_says_that_its_body_is_a_form(kind, is_form):
    assert form.announced({"CONTENT_TYPE": kind}) is is_form
