"""s3multi: the multipart operations.

This is their place in the pipeline; each is refused by name.

Ini options of ``[filter:s3multi]``: none.

Answers CreateMultipartUpload, UploadPart, UploadPartCopy, CompleteMultipartUpload,
AbortMultipartUpload, ListParts and ListMultipartUploads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from s3filters import options
from s3filters.pipeline.base import App, Filter
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error

OPERATIONS = (
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "ListParts",
    "ListMultipartUploads",
)


@dataclass(frozen=True, slots=True)
class Options:
    """Options of s3multi: none yet."""


class S3multi(Filter):
    """Refuses the multipart operations."""

    answers: ClassVar[dict[str, str]] = dict.fromkeys(OPERATIONS, "refuse")

    def refuse(self, call: Call) -> S3Error:
        """Answer NotImplemented."""
        return S3Error("NotImplemented", f"{call.operation} is not implemented.")


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Callable[[App], S3multi]:
    """PasteDeploy entry point ``egg:s3filters#s3multi``."""
    options.read(Options, "filter:s3multi", global_conf, local_conf)
    return S3multi
