"""The tags of an object: read, replaced and taken away, without a touch to the object itself.

They lie on disk as Versity's gateway has them. Source: AWS API reference, the pages named as the
operations; User Guide, "Categorizing your objects using tags".
"""

from __future__ import annotations

from s3filters.backends.fs.configuration import XML, document
from s3filters.backends.fs.facts import Facts
from s3filters.backends.fs.reading import Reading
from s3filters.s3 import tagging
from s3filters.s3.call import Call
from s3filters.s3.reply import Reply
from s3filters.store import describing, metadata


class Tagging(Facts, Reading):
    """Operations on the tags of objects."""

    def get_object_tagging(self, call: Call) -> Reply:
        """The tags, which may be none. Raise NoSuchKey."""
        tags = self.object_tags(self._record(call))
        return Reply(200, [XML], tagging.render(tags))

    def put_object_tagging(self, call: Call) -> Reply:
        """Replace all tags; a set of none is as good as taking them away.

        Raise MissingRequestBodyError, MalformedXML, InvalidTag, BadRequest, NoSuchKey.
        """
        with self.saying_who_may_first(call):
            call.tags = tags = tagging.parse(document(call))
        value = describing.tags_value(tags) if tags else None
        self.alter(call, lambda record: {metadata.TAGGING: value})
        return Reply(200)

    def delete_object_tagging(self, call: Call) -> Reply:
        """Take all tags away; there need be none. Raise NoSuchKey."""
        self.alter(call, lambda record: {metadata.TAGGING: None})
        return Reply(204)
