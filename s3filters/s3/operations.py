"""Every operation of S3: one row each, also for those that nobody answers, so that they are refused by name.

Data only. Where several rows of a method and level fit, the first one wins, so the more specific stand above.
Source: AWS S3 API reference; parameters have botocore's names, permissions those of AWS's policies.
"""

# ruff: noqa: E501  a row is a line

from __future__ import annotations

from typing import Any

from s3filters.s3 import parameters as p
from s3filters.s3 import rules
from s3filters.s3.errors import S3Error
from s3filters.s3.parameters import Param
from s3filters.s3.row import (
    BUCKET,
    DATA,
    DOCUMENT,
    FOREIGN,
    FORM,
    MUST,
    OBJECT,
    READ,
    SERVICE,
    WRITE,
    Row,
)

COPY_SOURCE = "HTTP_X_AMZ_COPY_SOURCE"
ROUTE = "HTTP_X_AMZ_REQUEST_ROUTE"  # of an object lambda's answer

# --- parameters that several rows share --------------------------------------------------------

_PAGE = (
    Param("prefix", "Prefix", p.text, ""),
    Param("delimiter", "Delimiter", p.text_or_none),
    Param("encoding-type", "EncodingType", p.encoding),
)
_MAX_KEYS = Param("max-keys", "MaxKeys", p.page, rules.PAGE_KEYS, blank=False)
_RESTORE_STATUS = Param(
    "x-amz-optional-object-attributes", "OptionalObjectAttributes", p.text_or_none
)
_READ = (  # mostly absent, so they have no defaults and cost nothing
    Param("partNumber", "PartNumber", p.part_number, p.ABSENT),
    Param("response-cache-control", "ResponseCacheControl", p.header_text, p.ABSENT),
    Param("response-content-disposition", "ResponseContentDisposition", p.header_text, p.ABSENT),
    Param("response-content-encoding", "ResponseContentEncoding", p.header_text, p.ABSENT),
    Param("response-content-language", "ResponseContentLanguage", p.header_text, p.ABSENT),
    Param("response-content-type", "ResponseContentType", p.header_text, p.ABSENT),
    Param("response-expires", "ResponseExpires", p.header_text, p.ABSENT),
)
_CHECKSUM_MODE = Param(
    "x-amz-checksum-mode",
    "ChecksumMode",
    p.checksum_mode,
    p.ABSENT,
)
_TYPE = Param("x-amz-checksum-type", "ChecksumType", p.checksum_type)
_ALGORITHM = Param("x-amz-checksum-algorithm", "ChecksumAlgorithm", p.algorithm)
_UPLOAD = Param("uploadId", "UploadId", p.text, "")
_PART = Param("partNumber", "PartNumber", p.part_number)
_LONE_PART = Param("partNumber", "PartNumber", p.never, p.ABSENT)
_DIRECTIVES = (
    Param(
        "x-amz-metadata-directive",
        "MetadataDirective",
        p.word_of("COPY", "REPLACE", message="Unknown metadata directive."),
        "COPY",
    ),
    Param(
        "x-amz-tagging-directive",
        "TaggingDirective",
        p.word_of("COPY", "REPLACE", message="Unknown tagging directive."),
        "COPY",
    ),
)
_SOURCE_OWNER = Param(
    "x-amz-source-expected-bucket-owner", "ExpectedSourceBucketOwner", p.text_or_none
)
_TOKEN = Param("continuation-token", "ContinuationToken", p.token)


def _marker_pair(params: dict[str, Any]) -> None:
    if params["VersionIdMarker"] and not params["KeyMarker"]:
        message = "A version-id marker cannot be specified without a key marker."
        raise p.bad("version-id-marker", params["VersionIdMarker"], message)


def _asks_attributes(params: dict[str, Any]) -> None:
    if params["ObjectAttributes"] is None:
        message = "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty"
        raise S3Error("InvalidRequest", message)


# --- the table ---------------------------------------------------------------------------------

ROWS: tuple[Row, ...] = (
    # The bytes of objects
    Row("GetObject", "GET", OBJECT, "s3:GetObject", params=_READ, headers=(_CHECKSUM_MODE,), conditions=READ),
    Row("HeadObject", "HEAD", OBJECT, "s3:GetObject", params=_READ, headers=(_CHECKSUM_MODE,), conditions=READ),
    Row("UploadPartCopy", "PUT", OBJECT, "s3:PutObject", ("uploadId", "partNumber"), COPY_SOURCE, (_UPLOAD, _PART),
        (Param("x-amz-copy-source-range", "CopySourceRange", p.source_range), _SOURCE_OWNER)),
    Row("UploadPart", "PUT", OBJECT, "s3:PutObject", ("uploadId", "partNumber"), params=(_UPLOAD, _PART), body=DATA),
    Row("CopyObject", "PUT", OBJECT, "s3:PutObject", header=COPY_SOURCE, params=(_LONE_PART,), headers=(*_DIRECTIVES, _ALGORITHM, _SOURCE_OWNER),
        conditions=WRITE, stores=True),
    Row("PutObject", "PUT", OBJECT, "s3:PutObject", params=(_LONE_PART,), body=DATA, conditions=WRITE, stores=True),
    Row("DeleteObject", "DELETE", OBJECT, "s3:DeleteObject", conditions=WRITE),
    Row("WriteGetObjectResponse", "POST", BUCKET, "s3-object-lambda:WriteGetObjectResponse", header=ROUTE),
    Row("PostObject", "POST", BUCKET, "s3:PutObject", body=FORM, stores=True),
    Row("OptionsObject", "OPTIONS", OBJECT, "s3:GetBucketCORS"),
    Row("OptionsBucket", "OPTIONS", BUCKET, "s3:GetBucketCORS"),
    Row("GetObjectAttributes", "GET", OBJECT, "s3:GetObject", ("attributes",), headers=(
        Param("x-amz-object-attributes", "ObjectAttributes", p.attributes),
        Param("x-amz-max-parts", "MaxParts", p.page, rules.PAGE_KEYS),
        Param("x-amz-part-number-marker", "PartNumberMarker", p.whole(0, p.INT), 0)), conditions=READ, check=_asks_attributes),
    Row("RenameObject", "PUT", OBJECT, "s3:PutObject", ("renameObject",)),
    Row("GetObjectTorrent", "GET", OBJECT, "s3:GetObject", ("torrent",)),
    Row("SelectObjectContent", "POST", OBJECT, "s3:GetObject", ("select", "select-type"), body=DOCUMENT),
    Row("RestoreObject", "POST", OBJECT, "s3:RestoreObject", ("restore",), body=DOCUMENT),
    # Multipart uploads
    Row("CreateMultipartUpload", "POST", OBJECT, "s3:PutObject", ("uploads",), headers=(_ALGORITHM, _TYPE), stores=True),
    Row("CompleteMultipartUpload", "POST", OBJECT, "s3:PutObject", ("uploadId",), params=(_UPLOAD,),
        headers=(_TYPE, Param("x-amz-mp-object-size", "MpuObjectSize", p.object_size)), body=DOCUMENT, proof=FOREIGN, conditions=WRITE),
    Row("AbortMultipartUpload", "DELETE", OBJECT, "s3:AbortMultipartUpload", ("uploadId",), params=(_UPLOAD,),
        headers=(Param("x-amz-if-match-initiated-time", "IfMatchInitiatedTime", p.moment),)),
    Row("ListParts", "GET", OBJECT, "s3:ListMultipartUploadParts", ("uploadId",), params=(
        _UPLOAD, Param("max-parts", "MaxParts", p.page, rules.PAGE_KEYS, blank=False),
        Param("part-number-marker", "PartNumberMarker", p.whole(0, p.INT), 0, blank=False))),
    Row("ListMultipartUploads", "GET", BUCKET, "s3:ListBucketMultipartUploads", ("uploads",), params=(
        *_PAGE, Param("key-marker", "KeyMarker", p.text, ""), Param("upload-id-marker", "UploadIdMarker", p.text, ""),
        Param("max-uploads", "MaxUploads", p.page, rules.PAGE_KEYS, blank=False))),
    # What is kept beside the bytes
    Row("GetObjectAcl", "GET", OBJECT, "s3:GetObjectAcl", ("acl",)),
    Row("PutObjectAcl", "PUT", OBJECT, "s3:PutObjectAcl", ("acl",), body=DOCUMENT),
    Row("GetObjectTagging", "GET", OBJECT, "s3:GetObjectTagging", ("tagging",)),
    Row("PutObjectTagging", "PUT", OBJECT, "s3:PutObjectTagging", ("tagging",), body=DOCUMENT),
    Row("DeleteObjectTagging", "DELETE", OBJECT, "s3:DeleteObjectTagging", ("tagging",)),
    Row("GetObjectRetention", "GET", OBJECT, "s3:GetObjectRetention", ("retention",)),
    Row("PutObjectRetention", "PUT", OBJECT, "s3:PutObjectRetention", ("retention",), body=DOCUMENT),
    Row("GetObjectLegalHold", "GET", OBJECT, "s3:GetObjectLegalHold", ("legal-hold",)),
    Row("PutObjectLegalHold", "PUT", OBJECT, "s3:PutObjectLegalHold", ("legal-hold",), body=DOCUMENT),
    Row("UpdateObjectEncryption", "PUT", OBJECT, "s3:UpdateObjectEncryption", ("encryption",), body=DOCUMENT),
    Row("GetObjectAnnotation", "GET", OBJECT, "s3:GetObjectAnnotation", ("annotation", "annotationName")),
    Row("ListObjectAnnotations", "GET", OBJECT, "s3:ListObjectAnnotations", ("annotation",)),
    Row("PutObjectAnnotation", "PUT", OBJECT, "s3:PutObjectAnnotation", ("annotation",)),
    Row("DeleteObjectAnnotation", "DELETE", OBJECT, "s3:DeleteObjectAnnotation", ("annotation",)),
    # Buckets
    Row("ListDirectoryBuckets", "GET", SERVICE, "s3express:ListAllMyDirectoryBuckets", ("max-directory-buckets",)),
    Row("ListBuckets", "GET", SERVICE, "s3:ListAllMyBuckets", params=(
        Param("prefix", "Prefix", p.text, ""), _TOKEN, Param("bucket-region", "BucketRegion", p.text_or_none),
        Param("max-buckets", "MaxBuckets", p.whole(1, rules.PAGE_BUCKETS), rules.PAGE_BUCKETS, blank=False))),
    Row("CreateBucket", "PUT", BUCKET, "s3:CreateBucket", body=DOCUMENT),
    Row("HeadBucket", "HEAD", BUCKET, "s3:ListBucket"),
    Row("DeleteBucket", "DELETE", BUCKET, "s3:DeleteBucket"),
    Row("GetBucketLocation", "GET", BUCKET, "s3:GetBucketLocation", ("location",)),
    Row("ListObjectsV2", "GET", BUCKET, "s3:ListBucket", ("list-type=2",), params=(
        *_PAGE, _MAX_KEYS, _TOKEN, Param("start-after", "StartAfter", p.text, ""),
        Param("fetch-owner", "FetchOwner", p.flag, False)), headers=(_RESTORE_STATUS,)),
    Row("ListObjects", "GET", BUCKET, "s3:ListBucket", params=(*_PAGE, _MAX_KEYS, Param("marker", "Marker", p.text, "")),
        headers=(_RESTORE_STATUS,)),
    Row("ListObjectVersions", "GET", BUCKET, "s3:ListBucketVersions", ("versions",), params=(
        *_PAGE, _MAX_KEYS, Param("key-marker", "KeyMarker", p.text, ""),
        Param("version-id-marker", "VersionIdMarker", p.text_or_none)), headers=(_RESTORE_STATUS,), check=_marker_pair),
    Row("DeleteObjects", "POST", BUCKET, "s3:DeleteObject", ("delete",), body=DOCUMENT, proof=MUST),
    Row("CreateSession", "GET", BUCKET, "s3express:CreateSession", ("session",)),
    # The configuration of buckets
    Row("GetBucketAbac", "GET", BUCKET, "s3:GetBucketAbac", ("abac",)),
    Row("PutBucketAbac", "PUT", BUCKET, "s3:PutBucketAbac", ("abac",), body=DOCUMENT),
    Row("GetBucketAccelerateConfiguration", "GET", BUCKET, "s3:GetAccelerateConfiguration", ("accelerate",)),
    Row("PutBucketAccelerateConfiguration", "PUT", BUCKET, "s3:PutAccelerateConfiguration", ("accelerate",), body=DOCUMENT),
    Row("GetBucketAcl", "GET", BUCKET, "s3:GetBucketAcl", ("acl",)),
    Row("PutBucketAcl", "PUT", BUCKET, "s3:PutBucketAcl", ("acl",), body=DOCUMENT),
    Row("GetBucketAnalyticsConfiguration", "GET", BUCKET, "s3:GetAnalyticsConfiguration", ("analytics", "id")),
    Row("ListBucketAnalyticsConfigurations", "GET", BUCKET, "s3:GetAnalyticsConfiguration", ("analytics",)),
    Row("PutBucketAnalyticsConfiguration", "PUT", BUCKET, "s3:PutAnalyticsConfiguration", ("analytics",), body=DOCUMENT),
    Row("DeleteBucketAnalyticsConfiguration", "DELETE", BUCKET, "s3:PutAnalyticsConfiguration", ("analytics",)),
    Row("GetBucketCors", "GET", BUCKET, "s3:GetBucketCORS", ("cors",)),
    Row("PutBucketCors", "PUT", BUCKET, "s3:PutBucketCORS", ("cors",), body=DOCUMENT, proof=MUST),
    Row("DeleteBucketCors", "DELETE", BUCKET, "s3:PutBucketCORS", ("cors",)),
    Row("GetBucketEncryption", "GET", BUCKET, "s3:GetEncryptionConfiguration", ("encryption",)),
    Row("PutBucketEncryption", "PUT", BUCKET, "s3:PutEncryptionConfiguration", ("encryption",), body=DOCUMENT),
    Row("DeleteBucketEncryption", "DELETE", BUCKET, "s3:PutEncryptionConfiguration", ("encryption",)),
    Row("GetBucketIntelligentTieringConfiguration", "GET", BUCKET, "s3:GetIntelligentTieringConfiguration", ("intelligent-tiering", "id")),
    Row("ListBucketIntelligentTieringConfigurations", "GET", BUCKET, "s3:GetIntelligentTieringConfiguration", ("intelligent-tiering",)),
    Row("PutBucketIntelligentTieringConfiguration", "PUT", BUCKET, "s3:PutIntelligentTieringConfiguration", ("intelligent-tiering",), body=DOCUMENT),
    Row("DeleteBucketIntelligentTieringConfiguration", "DELETE", BUCKET, "s3:PutIntelligentTieringConfiguration", ("intelligent-tiering",)),
    Row("GetBucketInventoryConfiguration", "GET", BUCKET, "s3:GetInventoryConfiguration", ("inventory", "id")),
    Row("ListBucketInventoryConfigurations", "GET", BUCKET, "s3:GetInventoryConfiguration", ("inventory",)),
    Row("PutBucketInventoryConfiguration", "PUT", BUCKET, "s3:PutInventoryConfiguration", ("inventory",), body=DOCUMENT),
    Row("DeleteBucketInventoryConfiguration", "DELETE", BUCKET, "s3:PutInventoryConfiguration", ("inventory",)),
    Row("GetBucketLifecycleConfiguration", "GET", BUCKET, "s3:GetLifecycleConfiguration", ("lifecycle",)),
    Row("PutBucketLifecycleConfiguration", "PUT", BUCKET, "s3:PutLifecycleConfiguration", ("lifecycle",), body=DOCUMENT),
    Row("DeleteBucketLifecycle", "DELETE", BUCKET, "s3:PutLifecycleConfiguration", ("lifecycle",)),
    Row("GetBucketLogging", "GET", BUCKET, "s3:GetBucketLogging", ("logging",)),
    Row("PutBucketLogging", "PUT", BUCKET, "s3:PutBucketLogging", ("logging",), body=DOCUMENT),
    Row("GetBucketMetadataConfiguration", "GET", BUCKET, "s3:GetBucketMetadataTableConfiguration", ("metadataConfiguration",)),
    Row("CreateBucketMetadataConfiguration", "POST", BUCKET, "s3:CreateBucketMetadataTableConfiguration", ("metadataConfiguration",), body=DOCUMENT),
    Row("DeleteBucketMetadataConfiguration", "DELETE", BUCKET, "s3:DeleteBucketMetadataTableConfiguration", ("metadataConfiguration",)),
    Row("GetBucketMetadataTableConfiguration", "GET", BUCKET, "s3:GetBucketMetadataTableConfiguration", ("metadataTable",)),
    Row("CreateBucketMetadataTableConfiguration", "POST", BUCKET, "s3:CreateBucketMetadataTableConfiguration", ("metadataTable",), body=DOCUMENT),
    Row("DeleteBucketMetadataTableConfiguration", "DELETE", BUCKET, "s3:DeleteBucketMetadataTableConfiguration", ("metadataTable",)),
    Row("UpdateBucketMetadataAnnotationTableConfiguration", "PUT", BUCKET, "s3:UpdateBucketMetadataAnnotationTableConfiguration", ("metadataAnnotationTable",), body=DOCUMENT),
    Row("UpdateBucketMetadataInventoryTableConfiguration", "PUT", BUCKET, "s3:UpdateBucketMetadataInventoryTableConfiguration", ("metadataInventoryTable",), body=DOCUMENT),
    Row("UpdateBucketMetadataJournalTableConfiguration", "PUT", BUCKET, "s3:UpdateBucketMetadataJournalTableConfiguration", ("metadataJournalTable",), body=DOCUMENT),
    Row("GetBucketMetricsConfiguration", "GET", BUCKET, "s3:GetMetricsConfiguration", ("metrics", "id")),
    Row("ListBucketMetricsConfigurations", "GET", BUCKET, "s3:GetMetricsConfiguration", ("metrics",)),
    Row("PutBucketMetricsConfiguration", "PUT", BUCKET, "s3:PutMetricsConfiguration", ("metrics",), body=DOCUMENT),
    Row("DeleteBucketMetricsConfiguration", "DELETE", BUCKET, "s3:PutMetricsConfiguration", ("metrics",)),
    Row("GetBucketNotificationConfiguration", "GET", BUCKET, "s3:GetBucketNotification", ("notification",)),
    Row("PutBucketNotificationConfiguration", "PUT", BUCKET, "s3:PutBucketNotification", ("notification",), body=DOCUMENT),
    Row("GetObjectLockConfiguration", "GET", BUCKET, "s3:GetBucketObjectLockConfiguration", ("object-lock",)),
    Row("PutObjectLockConfiguration", "PUT", BUCKET, "s3:PutBucketObjectLockConfiguration", ("object-lock",), body=DOCUMENT),
    Row("GetBucketOwnershipControls", "GET", BUCKET, "s3:GetBucketOwnershipControls", ("ownershipControls",)),
    Row("PutBucketOwnershipControls", "PUT", BUCKET, "s3:PutBucketOwnershipControls", ("ownershipControls",), body=DOCUMENT),
    Row("DeleteBucketOwnershipControls", "DELETE", BUCKET, "s3:PutBucketOwnershipControls", ("ownershipControls",)),
    Row("GetBucketPolicy", "GET", BUCKET, "s3:GetBucketPolicy", ("policy",)),
    Row("PutBucketPolicy", "PUT", BUCKET, "s3:PutBucketPolicy", ("policy",), body=DOCUMENT),
    Row("DeleteBucketPolicy", "DELETE", BUCKET, "s3:DeleteBucketPolicy", ("policy",)),
    Row("GetBucketPolicyStatus", "GET", BUCKET, "s3:GetBucketPolicyStatus", ("policyStatus",)),
    Row("GetPublicAccessBlock", "GET", BUCKET, "s3:GetBucketPublicAccessBlock", ("publicAccessBlock",)),
    Row("PutPublicAccessBlock", "PUT", BUCKET, "s3:PutBucketPublicAccessBlock", ("publicAccessBlock",), body=DOCUMENT),
    Row("DeletePublicAccessBlock", "DELETE", BUCKET, "s3:PutBucketPublicAccessBlock", ("publicAccessBlock",)),
    Row("GetBucketReplication", "GET", BUCKET, "s3:GetReplicationConfiguration", ("replication",)),
    Row("PutBucketReplication", "PUT", BUCKET, "s3:PutReplicationConfiguration", ("replication",), body=DOCUMENT),
    Row("DeleteBucketReplication", "DELETE", BUCKET, "s3:PutReplicationConfiguration", ("replication",)),
    Row("GetBucketRequestPayment", "GET", BUCKET, "s3:GetBucketRequestPayment", ("requestPayment",)),
    Row("PutBucketRequestPayment", "PUT", BUCKET, "s3:PutBucketRequestPayment", ("requestPayment",), body=DOCUMENT),
    Row("GetBucketTagging", "GET", BUCKET, "s3:GetBucketTagging", ("tagging",)),
    Row("PutBucketTagging", "PUT", BUCKET, "s3:PutBucketTagging", ("tagging",), body=DOCUMENT, proof=MUST),
    Row("DeleteBucketTagging", "DELETE", BUCKET, "s3:PutBucketTagging", ("tagging",)),
    Row("GetBucketVersioning", "GET", BUCKET, "s3:GetBucketVersioning", ("versioning",)),
    Row("PutBucketVersioning", "PUT", BUCKET, "s3:PutBucketVersioning", ("versioning",), body=DOCUMENT),
    Row("GetBucketWebsite", "GET", BUCKET, "s3:GetBucketWebsite", ("website",)),
    Row("PutBucketWebsite", "PUT", BUCKET, "s3:PutBucketWebsite", ("website",), body=DOCUMENT),
    Row("DeleteBucketWebsite", "DELETE", BUCKET, "s3:DeleteBucketWebsite", ("website",)),
)  # fmt: skip
