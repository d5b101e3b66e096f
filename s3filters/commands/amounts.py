"""How much, and of what: amounts and names as people read them on a terminal."""

from __future__ import annotations


def human(size: float) -> str:
    """Return bytes as people say them: 512 B, 1.5 GiB."""
    if size < 1024:
        return f"{size} B"
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        size /= 1024
        if size < 1023.95 or unit == "PiB":
            break
    return f"{size:.1f} {unit}"


def count(number: int, noun: str) -> str:
    """Return a number of things: 1 upload, 2 uploads."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def printable(name: str) -> str:
    """Return a key in a form that moves no cursor: what cannot be printed is escaped."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name)
