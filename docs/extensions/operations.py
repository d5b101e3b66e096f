"""The directive ``s3-operations``: which operation is answered by whom, read from the code.

Rows come from the routing table, answers from the filters of the default pipeline and from the
methods of the backend at its end. What nobody answers is listed by name, as it is refused by name.
"""

import importlib

from docutils import nodes
from docutils.parsers.rst import Directive

from s3filters.backends.base import method_name
from s3filters.backends.fs import FsBackend
from s3filters.commands.ini import PIPELINE
from s3filters.s3.operations import ROWS

HEADINGS = ("Operation", "Request", "Answered by", "Permission")


def filters():
    """Yield (name in the pipeline, class) of those that answer operations, or could."""
    for name in PIPELINE[:-1]:
        module = importlib.import_module(f"s3filters.pipeline.{name}")
        for value in vars(module).values():
            if getattr(value, "__module__", "") == module.__name__ and hasattr(value, "answers"):
                yield name, value


def answered_by(operation):
    """Return who answers an operation, or nothing when all refuse it."""
    for name, cls in filters():
        if cls.answers.get(operation, "refuse") != "refuse":
            return name
    return "fs" if hasattr(FsBackend, method_name(operation)) else ""


def request_of(row):
    """Return method, level and the query words that make a request this operation."""
    path = {"service": "/", "bucket": "/bucket", "object": "/bucket/key"}[row.level]
    return f"{row.method} {path}" + (f"?{'&'.join(row.words)}" if row.words else "")


class Operations(Directive):
    """``.. s3-operations::`` a table of what is answered; ``:refused:`` a list of what is not."""

    option_spec = {"refused": lambda _: True}

    def run(self):
        if "refused" in self.options:
            names = sorted({row.name for row in ROWS if not answered_by(row.name)})
            return [nodes.paragraph("", ", ".join(names) + ".")]
        rows = [
            (row.name, request_of(row), answered_by(row.name), row.permission)
            for row in ROWS
            if answered_by(row.name)
        ]
        return [table(sorted(rows))]


def table(rows):
    """Return a docutils table of texts."""
    group = nodes.tgroup(cols=len(HEADINGS))
    group += [nodes.colspec(colwidth=width) for width in (26, 34, 12, 28)]
    group += nodes.thead("", line(HEADINGS))
    group += nodes.tbody("", *[line(row) for row in rows])
    return nodes.table("", group)


def line(texts):
    return nodes.row("", *[nodes.entry("", nodes.paragraph("", text)) for text in texts])


def setup(app):
    app.add_directive("s3-operations", Operations)
    return {"parallel_read_safe": True}
