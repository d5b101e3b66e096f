"""PostObject: what a browser's form brings is put as any object is, and told as the form asks.

The form was understood before: here it is a PutObject of unknown length.
"""

from __future__ import annotations

from s3filters.backends.fs.writing import Writing, stored_headers
from s3filters.s3 import fields, xml
from s3filters.s3.call import Call
from s3filters.s3.reply import Reply

_SEE_OTHER = 303


class Posting(Writing):
    """PostObject. Source: AWS API reference, "POST Object"."""

    def post_object(self, call: Call) -> Reply:
        """Store the file of a form. Raise what PutObject raises."""
        record = self.put(call)
        headers = stored_headers(record)
        etag, location = f'"{record.etag}"', call.params["Location"]
        redirect = call.params["SuccessActionRedirect"]
        if redirect is not None:
            location = fields.redirected(redirect, call.bucket, call.key, etag)
            return Reply(_SEE_OTHER, [*headers, ("Location", location)])
        headers.append(("Location", location))
        status = call.params["SuccessActionStatus"]
        if status != 201:
            return Reply(status, headers)
        told = {"Location": location, "Bucket": call.bucket, "Key": call.key, "ETag": etag}
        headers.append(("Content-Type", "application/xml"))
        return Reply(status, headers, xml.render("PostResponse", told, namespace=None))
