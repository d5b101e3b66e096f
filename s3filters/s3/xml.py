"""S3's XML: render a tree of plain values, parse a document of a client.

It knows no document; a document is a dict in the order of its elements. Rendering gives what AWS
sends byte for byte. Parsing trusts nothing: no document type, no entities, bounded depth; the
caller bounds the size before. Names are compared without their namespace, because clients leave it
out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

import defusedxml.common
import defusedxml.ElementTree

from s3filters.s3.errors import S3Error

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
DEPTH = 12  # deeper than any document of S3

# Character data needs these five; "\r" is there because parsers turn it into "\n", and the other
# controls because AWS writes keys that hold them so (they are no legal XML, but what clients
# expect).
_special = re.compile('[&<>"\x00-\x08\x0b-\x1f\x7f\ufffe\uffff\ud800-\udfff]')
_WORDS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_must_escape = _special.search


def _reference(match: re.Match[str]) -> str:
    character = match[0]
    return _WORDS.get(character) or f"&#x{ord(character):x};"


def escape(text: str) -> str:
    """Return the text as character data."""
    if not _must_escape(text):
        return text
    if text.isprintable():  # an ETag's quotes, mostly
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return text.replace('"', "&quot;")
    return _special.sub(_reference, text)


def render(root: str, tree: Any, *, namespace: str | None = NAMESPACE) -> bytes:
    """Return a whole document in UTF-8.

    A dict gives elements in its order, a list repeats the element, None leaves it out, a bool is
    ``true`` or ``false``, all else is text. The tree of the root may be text alone, or None.
    """
    attribute = f' xmlns="{namespace}"' if namespace else ""
    out = [DECLARATION, f"<{root}{attribute}>"]
    if isinstance(tree, Mapping):
        _children(out.append, tree)
    elif tree is not None:
        out.append(_text(tree))
    out.append(f"</{root}>")
    return "".join(out).encode()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(str(value))


def _children(add: Callable[[str], None], tree: Mapping[str, Any]) -> None:
    for name, value in tree.items():
        kind = type(value)
        if kind is str:  # most of a listing: seven thousand of them in a page
            add(f"<{name}>{escape(value) if _must_escape(value) else value}</{name}>")
        elif kind is int:
            add(f"<{name}>{value}</{name}>")
        elif kind is list or kind is tuple:
            for item in value:
                _element(add, name, item)
        elif value is not None:
            _element(add, name, value)


def _element(add: Callable[[str], None], name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        add(f"<{name}>")
        _children(add, value)
        add(f"</{name}>")
    elif value is not None:
        add(f"<{name}>{_text(value)}</{name}>")


class _Builder(TreeBuilder):
    """Builds elements named without their namespace, to a bounded depth."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: str, attrs: dict[Any, Any], /) -> Element:
        self._depth += 1
        if self._depth > DEPTH:
            raise ParseError("too deep")
        return super().start(tag.rpartition("}")[2], attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag.rpartition("}")[2])


def parse(data: bytes, root: str) -> Element:
    """Return the root element, all tags without a namespace.

    Raise S3Error MalformedXML when it is not well formed, has a document type or entities, is too
    deep, or has another root.
    """
    parser = defusedxml.ElementTree.DefusedXMLParser(target=_Builder(), forbid_dtd=True)
    try:
        parser.feed(data)
        element: Element = parser.close()
    except (ParseError, defusedxml.common.DefusedXmlException, ValueError, LookupError) as error:
        # The parser's frame keeps the error that keeps the frame, and with it the whole document;
        # and a parser that was not closed knows its handlers, which know it.
        vars(parser).clear()
        raise S3Error("MalformedXML") from error.with_traceback(None)
    if element.tag != root:
        raise S3Error("MalformedXML")
    return element


def text_of(element: Element, name: str) -> str | None:
    """Return the text of the only child of that name, "" when empty, None when there is none.

    Raise S3Error MalformedXML when there are two, or when it holds elements.
    """
    found = element.findall(name)
    if not found:
        return None
    if len(found) > 1 or len(found[0]):
        raise S3Error("MalformedXML")
    return found[0].text or ""


def only(element: Element, names: Iterable[str]) -> None:
    """Raise S3Error MalformedXML when the element has a child that is not one of the names."""
    allowed = set(names)
    if any(child.tag not in allowed for child in element):
        raise S3Error("MalformedXML")
