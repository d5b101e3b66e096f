"""s3multi: the multipart operations.

Checks what S3 fixes of them before a backend is asked: that the upload id is one (a UUID as
CreateMultipartUpload gives it out: no other text ever becomes part of a path), that checksum
algorithm and type go together, that the list of a CompleteMultipartUpload is one. The backend at
the end of the pipeline does the rest; without this filter it refuses these operations by name.

Ini options of ``[filter:s3multi]``: none.

Gates CreateMultipartUpload, UploadPart, UploadPartCopy, CompleteMultipartUpload,
AbortMultipartUpload, ListParts and ListMultipartUploads.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from s3filters import offload, options
from s3filters.pipeline.base import App, Filter
from s3filters.s3 import multipart, parameters, rules
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error

_is_upload_id = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Options:
    """Options of s3multi: none yet."""


class S3multi(Filter):
    """Lets the multipart operations through, checked and complete."""

    gates: ClassVar[dict[str, str]] = {
        "CreateMultipartUpload": "create",
        "UploadPart": "of_upload",
        "UploadPartCopy": "of_upload",
        "CompleteMultipartUpload": "complete",
        "AbortMultipartUpload": "of_upload",
        "ListParts": "of_upload",
        "ListMultipartUploads": "list_uploads",
    }

    def create(self, call: Call) -> None:
        """Fill in the checksum type of the new upload.

        Raise InvalidRequest when it cannot be, DirectoryObjectContainsData for a key that ends in
        ``/``: a directory has no bytes that could come in parts.
        """
        if call.key.endswith("/"):
            raise S3Error("DirectoryObjectContainsData")
        params = call.params
        params["ChecksumAlgorithm"], params["ChecksumType"] = multipart.check_declaration(
            params["ChecksumAlgorithm"], params["ChecksumType"]
        )
        call.multipart = True

    def of_upload(self, call: Call) -> None:
        """Raise NoSuchUpload for an upload id that is none."""
        upload_id = call.params["UploadId"]
        if not _is_upload_id(upload_id):
            raise S3Error("NoSuchUpload", UploadId=upload_id)
        call.multipart = True

    def complete(self, call: Call) -> None:
        """Read the list of parts. Raise NoSuchUpload, MalformedXML, InvalidPartOrder."""
        self.of_upload(call)
        body = call.body
        assert body is not None
        data = body.read(rules.COMPLETE_XML_BYTES)
        # 10,000 parts take tens of milliseconds, in which others want to be served.
        call.params["Parts"] = offload.run(multipart.parse_parts, data)

    def list_uploads(self, call: Call) -> None:
        """Raise InvalidArgument for a marker that is no upload id (without a key it is ignored)."""
        marker = call.params["UploadIdMarker"]
        if marker and call.params["KeyMarker"] and not _is_upload_id(marker):
            raise parameters.bad("upload-id-marker", marker, "Invalid uploadId marker")
        call.multipart = True


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Callable[[App], S3multi]:
    """PasteDeploy entry point ``egg:s3filters#s3multi``."""
    options.read(Options, "filter:s3multi", global_conf, local_conf)
    return S3multi
