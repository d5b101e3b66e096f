"""Words for tests of multipart uploads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from paste.deploy import loadapp

from tests.functional.conftest import INI

PLACEMENTS = ("files", "direct")
LEAST = 5 << 20  # bytes of a part that is not the last
FULL = bytes(range(256)) * (LEAST // 256)  # a part as small as such a part may be
OTHER = bytes(reversed(range(256))) * (LEAST // 256)


class Uploader:
    """One upload of a boto3 client, which remembers its parts as a client does."""

    def __init__(self, s3: Any, key: str = "key", bucket: str = "box", **args: Any) -> None:
        self.s3 = s3
        self.name = {"Bucket": bucket, "Key": key}
        self.begun = s3.create_multipart_upload(**self.name, **args)
        self.name["UploadId"] = self.id = self.begun["UploadId"]
        self.algorithm = args.get("ChecksumAlgorithm")
        self.parts: dict[int, dict[str, Any]] = {}

    def put(self, number: int, data: bytes, **args: Any) -> dict[str, Any]:
        """Upload a part with the upload's checksum; return the answer."""
        if self.algorithm and "ChecksumAlgorithm" not in args:
            args["ChecksumAlgorithm"] = self.algorithm
        answer = self.s3.upload_part(**self.name, PartNumber=number, Body=data, **args)
        return self.remember(number, answer)

    def copy(self, number: int, source: str, **args: Any) -> dict[str, Any]:
        """Copy an object, ``bucket/key``, as a part; return the CopyPartResult."""
        answer = self.s3.upload_part_copy(**self.name, PartNumber=number, CopySource=source, **args)
        return self.remember(number, answer["CopyPartResult"])

    def remember(self, number: int, answer: dict[str, Any]) -> dict[str, Any]:
        """Note what completing needs to know of a part."""
        self.parts[number] = {"PartNumber": number, "ETag": answer["ETag"]}
        if self.algorithm:
            name = f"Checksum{self.algorithm}"
            self.parts[number][name] = answer[name]
        return answer

    def listed(self, numbers: Iterable[int] | None = None) -> dict[str, Any]:
        """The document of a complete, of all parts when none are named."""
        chosen = sorted(self.parts) if numbers is None else numbers
        return {"Parts": [self.parts[number] for number in chosen]}

    def complete(self, numbers: Iterable[int] | None = None, **args: Any) -> dict[str, Any]:
        """Complete with these parts, or all."""
        return self.s3.complete_multipart_upload(
            **self.name, MultipartUpload=self.listed(numbers), **args
        )

    def abort(self, **args: Any) -> dict[str, Any]:
        """Give up."""
        return self.s3.abort_multipart_upload(**self.name, **args)

    def stored(self) -> list[tuple[int, int]]:
        """Numbers and sizes of the parts that ListParts shows."""
        answer = self.s3.list_parts(**self.name)
        return [(part["PartNumber"], part["Size"]) for part in answer.get("Parts", ())]


def etag_of(*parts: bytes) -> str:
    """The ETag of an object made of these parts, quoted."""
    joined = b"".join(hashlib.md5(part).digest() for part in parts)
    return f'"{hashlib.md5(joined).hexdigest()}-{len(parts)}"'


def placing_app(folder: Path, settings: Mapping[str, str], placement: str) -> Any:
    """The default pipeline with a ``placement`` of parts; its ini is written to the folder."""
    path = folder / "placement.ini"
    path.write_text(INI.read_text().replace("#placement = auto", f"placement = {placement}"))
    return loadapp(f"config:{path}", global_conf=dict(settings))
