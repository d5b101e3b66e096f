"""CORS rules of a bucket: kept as they were sent, as Versity's gateway keeps them.

What they mean to a browser is for the ``cors`` filter.
"""

from __future__ import annotations

from s3filters.backends.fs.configuration import XML, Settings, document
from s3filters.s3 import cors
from s3filters.s3.call import Call
from s3filters.s3.reply import Reply


class Sharing(Settings):
    """Operations on CORS rules. Source: AWS API reference, the pages named as the operations."""

    def put_bucket_cors(self, call: Call) -> Reply:
        """Replace all rules. Raise MalformedXML, InvalidRequest."""
        data = document(call)
        self.offload.run(cors.parse, data)
        self.set(call, "cors", lambda bucket: data)
        return Reply(200)

    def get_bucket_cors(self, call: Call) -> Reply:
        """The rules. Raise NoSuchCORSConfiguration."""
        return Reply(200, [XML], cors.render(cors.load(self.setting(call, "cors"))))

    def delete_bucket_cors(self, call: Call) -> Reply:
        """Take all rules away; there need be none."""
        return self.unset(call, "cors")
