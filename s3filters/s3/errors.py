"""S3's errors: one table from code to status and message, and one exception that answers itself.

An ``S3Error`` may be raised anywhere above the store. It is a WSGI application, so whoever catches
it answers with it: the XML document that AWS sends, without a body where HTTP allows none. It knows
the request only by its environ. Codes and their meaning: AWS, "Error responses", and the codes that
Versity's gateway adds for names that a tree of files cannot hold.
"""

# ruff: noqa: E501  a row is a line

from __future__ import annotations

import base64
import hashlib
import os
import re
import socket
from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape

from s3filters.s3.call import REQUEST_ID
from s3filters.s3.reply import STATUS_LINES

CODES: dict[str, tuple[int, str]] = {
    # Who asks
    "AccessDenied": (403, "Access Denied"),
    "AccessForbidden": (403, "CORSResponse: CORS is not enabled for this bucket."),
    "AllAccessDisabled": (403, "All access to this object has been disabled."),
    "AuthorizationHeaderMalformed": (400, "The authorization header that you provided is not valid."),
    "AuthorizationQueryParametersError": (400, "The authorization query parameters that you provided are not valid."),
    "CredentialsNotSupported": (400, "This request does not support credentials."),
    "ExpiredToken": (400, "The provided token has expired."),
    "InvalidAccessKeyId": (403, "The AWS Access Key Id you provided does not exist in our records."),
    "InvalidSecurity": (403, "The provided security credentials are not valid."),
    "InvalidToken": (400, "The provided token is malformed or otherwise not valid."),
    "MissingSecurityHeader": (400, "Your request was missing a required header."),
    "NotSignedUp": (403, "Your account is not signed up for this service."),
    "RequestExpired": (400, "Request has expired."),
    "RequestTimeTooSkewed": (403, "The difference between the request time and the server's time is too large."),
    "SignatureDoesNotMatch": (
        403,
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
    ),
    "TokenRefreshRequired": (400, "The provided token must be refreshed."),
    "XAmzContentSHA256Mismatch": (400, "The provided 'x-amz-content-sha256' header does not match what was computed."),
    # What is asked for is not there
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "NoSuchBucketPolicy": (404, "The bucket policy does not exist"),
    "NoSuchConfiguration": (404, "The specified configuration does not exist."),
    "NoSuchCORSConfiguration": (404, "The CORS configuration does not exist"),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NoSuchLifecycleConfiguration": (404, "The lifecycle configuration does not exist"),
    "NoSuchObjectLockConfiguration": (404, "The specified object does not have a ObjectLock configuration"),
    "NoSuchPublicAccessBlockConfiguration": (404, "The public access block configuration was not found"),
    "NoSuchTagSet": (404, "The TagSet does not exist"),
    "NoSuchUpload": (
        404,
        "The specified upload does not exist. The upload ID may be invalid, "
        "or the upload may have been aborted or completed.",
    ),
    "NoSuchVersion": (404, "The specified version does not exist."),
    "NoSuchWebsiteConfiguration": (404, "The specified bucket does not have a website configuration"),
    "ObjectLockConfigurationNotFoundError": (404, "Object Lock configuration does not exist for this bucket"),
    "OwnershipControlsNotFoundError": (404, "The bucket ownership controls were not found"),
    "ReplicationConfigurationNotFoundError": (404, "The replication configuration was not found"),
    "ServerSideEncryptionConfigurationNotFoundError": (404, "The server side encryption configuration was not found"),
    # It is there, in the way
    "BucketAlreadyExists": (
        409,
        "The requested bucket name is not available. The bucket namespace is shared by all users "
        "of the system. Please select a different name and try again.",
    ),
    "BucketAlreadyOwnedByYou": (409, "Your previous request to create the named bucket succeeded and you already own it."),
    "BucketNotEmpty": (409, "The bucket you tried to delete is not empty"),
    "ConditionalRequestConflict": (409, "The conditional request cannot succeed due to a conflicting operation against this resource."),
    "InvalidBucketState": (409, "The request is not valid with the current state of the bucket."),
    "InvalidObjectState": (403, "The operation is not valid for the object's storage class"),
    "ObjectAlreadyInActiveTierError": (403, "This object is already in the active tier."),
    "ObjectNotInActiveTierError": (403, "The source object of the copy is not in the active tier."),
    "OperationAborted": (409, "A conflicting conditional operation is currently in progress against this resource. Try again."),
    "RestoreAlreadyInProgress": (409, "Object restore is already in progress."),
    # Names that a tree of files cannot hold (Versity's codes)
    "DirectoryNotEmpty": (400, "The directory object is not empty."),
    "DirectoryObjectContainsData": (400, "A directory object (its key ends in /) cannot contain data."),
    "ExistingObjectIsDirectory": (409, "The key exists as a directory: keys below it exist."),
    "ObjectParentIsFile": (409, "A parent of the key exists as an object: nothing can lie below it."),
    # Conditions and ranges
    "InvalidPartNumber": (416, "The requested partnumber is not satisfiable"),
    "InvalidRange": (416, "The requested range is not satisfiable"),
    "NotModified": (304, "Not Modified"),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold"),
    # The body and its proofs
    "BadDigest": (400, "The Content-MD5 or checksum value that you specified did not match what the server received."),
    "EntityTooLarge": (400, "Your proposed upload exceeds the maximum allowed size"),
    "EntityTooSmall": (400, "Your proposed upload is smaller than the minimum allowed size"),
    "IncompleteBody": (400, "You did not provide the number of bytes specified by the Content-Length HTTP header"),
    "InvalidChunkSizeError": (403, "Only the last chunk is allowed to have a size less than 8192 bytes"),
    "InvalidDigest": (400, "The Content-MD5 you specified was invalid."),
    "MalformedPOSTRequest": (400, "The body of your POST request is not well-formed multipart/form-data."),
    "MalformedTrailerError": (
        400,
        "The request contained trailing data that was not well-formed or did not conform to our published schema.",
    ),
    "MaxMessageLengthExceeded": (400, "Your request was too big."),
    "MaxPostPreDataLengthExceededError": (400, "Your POST request fields preceding the upload file were too large."),
    "MissingContentLength": (411, "You must provide the Content-Length HTTP header."),
    "MissingRequestBodyError": (400, "Request Body is empty"),
    "RequestTimeout": (400, "Your socket connection to the server was not read from or written to within the timeout period."),
    # Documents
    "IllegalLocationConstraintException": (
        400,
        "The specified location constraint is incompatible for the region specific endpoint this request was sent to.",
    ),
    "IllegalVersioningConfigurationException": (400, "The versioning configuration specified in the request is invalid."),
    "InvalidLocationConstraint": (400, "The specified location-constraint is not valid"),
    "InvalidPart": (
        400,
        "One or more of the specified parts could not be found. The part may not have been uploaded, "
        "or the specified entity tag may not match the part's entity tag.",
    ),
    "InvalidPartOrder": (400, "The list of parts was not in ascending order. Parts must be ordered by part number."),
    "InvalidPolicyDocument": (400, "The content of the form does not meet the conditions specified in the policy document."),
    "InvalidTag": (400, "The tag provided was not a valid tag."),
    "MalformedACLError": (400, "The XML you provided was not well-formed or did not validate against our published schema"),
    "MalformedPolicy": (400, "The policy is not well-formed."),
    "MalformedXML": (400, "The XML you provided was not well-formed or did not validate against our published schema"),
    # Headers, names and parameters
    "AccessControlListNotSupported": (400, "The bucket does not allow ACLs"),
    "AmbiguousGrantByEmailAddress": (400, "The email address you provided is associated with more than one account."),
    "IncorrectNumberOfFilesInPostRequest": (400, "POST requires exactly one file upload per request."),
    "BadRequest": (400, "Bad Request"),
    "InvalidArgument": (400, "Invalid Argument"),
    "InvalidBucketAclWithBlockPublicAccessError": (400, "Bucket cannot have public ACLs set with BlockPublicAccess enabled"),
    "InvalidBucketAclWithObjectOwnership": (400, "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"),
    "InvalidBucketName": (400, "The specified bucket is not valid."),
    "InvalidEncryptionAlgorithmError": (400, "The encryption request that you specified is not valid."),
    "InvalidHostHeader": (400, "The host header provided in the request was not valid."),
    "InvalidHttpMethod": (400, "The HTTP method is not valid."),
    "InvalidObjectName": (400, "The object name is not valid."),
    "InvalidRequest": (400, "Invalid Request"),
    "InvalidStorageClass": (400, "The storage class you specified is not valid"),
    "InvalidTargetBucketForLogging": (400, "The target bucket for logging does not exist or is not owned by you."),
    "InvalidTokenId": (403, "The token id that you provided does not exist."),
    "InvalidURI": (400, "Couldn't parse the specified URI."),
    "KeyTooLongError": (400, "Your key is too long"),
    "MetadataTooLarge": (400, "Your metadata headers exceed the maximum allowed metadata size"),
    "MissingAttachment": (400, "A SOAP attachment was expected, but none was found."),
    "RequestHeaderSectionTooLarge": (400, "Your request header section exceeds the maximum allowed size."),
    "RequestIsNotMultiPartContent": (412, "Bucket POST must be of the enclosure-type multipart/form-data."),
    "TooManyBuckets": (400, "You have attempted to create more buckets than allowed"),
    "UnexpectedContent": (400, "This request contains unsupported content."),
    "UnresolvableGrantByEmailAddress": (400, "The email address you provided does not match any account on record."),
    "UserKeyMustBeSpecified": (400, "The bucket POST must contain the specified field name."),
    # What the service can do, and what it can do now
    "InsufficientStorage": (507, "No space is left on the device."),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "NotImplemented": (501, "A header or query you provided implies functionality that is not implemented."),
    "PermanentRedirect": (301, "The bucket you are attempting to access must be addressed using the specified endpoint."),
    "QuotaExceeded": (403, "Your request was denied because it would exceed a quota."),
    "RequestTimeoutUpstream": (504, "The storage behind this service did not answer in time."),
    "ServiceUnavailable": (503, "Service is unable to handle request."),
    "SlowDown": (503, "Please reduce your request rate."),
    "TemporaryRedirect": (307, "You are being redirected to the bucket while DNS updates."),
    "VersioningNotConfigured": (501, "Versioning has not been configured."),
}  # fmt: skip

# What XML 1.0 has no way to write. S3 writes keys that hold these as character references, which
# parsers refuse; an error must be readable, so here they become the replacement character.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff\ud800-\udfff]")

_host = ""


def _name_this_process() -> None:
    """Choose the part of ``x-amz-id-2`` that tells processes and hosts apart (36 bytes, base64)."""
    global _host
    seed = f"{socket.gethostname()} {os.getpid()}".encode() + os.urandom(16)
    _host = base64.b64encode(hashlib.sha384(seed).digest()[:36]).decode()


_name_this_process()
os.register_at_fork(after_in_child=_name_this_process)


def host_id(request_id: str) -> str:
    """Return the extended request id, ``x-amz-id-2`` and HostId, of a request id (base64 text)."""
    return _host + request_id


class S3Error(Exception):
    """An error that S3 has a code for; call it as a WSGI app to answer with it.

    :param code: a key of ``CODES``
    :param message: instead of the table's
    :param headers: extra headers, such as the ETag of a 304
    :param detail: extra elements of the document, in order; None leaves one out
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        **detail: Any,
    ) -> None:
        status, usual = CODES[code]
        self.code = code
        self.status = status
        self.message = usual if message is None else message
        self.headers = headers
        self.detail = detail
        super().__init__(code, self.message)

    def bare(self) -> S3Error:
        """Return the error without its history, when nobody will raise it any more.

        A frame that keeps an error which keeps the frame keeps all that is in it, buffers of an
        upload too, until the garbage collector comes by.
        """
        self.__traceback__ = self.__cause__ = self.__context__ = None
        return self

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def document(self, environ: dict[str, Any]) -> bytes:
        """Return the XML that tells this error of this request."""
        request_id = environ.get(REQUEST_ID, "")
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        elements = [("Code", self.code), ("Message", self.message)]
        elements += [(name, value) for name, value in self.detail.items() if value is not None]
        elements += [
            ("Resource", path.encode("latin-1", "replace").decode("utf-8", "replace")),
            ("RequestId", request_id),
            ("HostId", host_id(request_id)),
        ]
        text = "".join(f"<{name}>{_readable(str(value))}</{name}>" for name, value in elements)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}</Error>'.encode()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer the request with this error."""
        headers = list(self.headers)
        if self.status in (204, 304):
            start_response(STATUS_LINES[self.status], headers)
            return []
        headers.append(("Content-Type", "application/xml"))
        if environ.get("REQUEST_METHOD") == "HEAD":
            start_response(STATUS_LINES[self.status], headers)
            return []
        document = self.document(environ)
        headers.append(("Content-Length", str(len(document))))
        start_response(STATUS_LINES[self.status], headers)
        return [document]


def _readable(text: str) -> str:
    return escape(_UNPRINTABLE.sub("\ufffd", text))
