"""What hostile requests are made of: paths, values, names and documents that broke others."""

BUCKET = "hostile"
METHODS = ("GET", "HEAD", "PUT", "DELETE", "POST", "OPTIONS", "PATCH", "get", "BREW")
USUAL_METHODS = ("GET", "HEAD", "PUT", "DELETE", "POST")
EVIL = (
    "..", ".", "%2e%2e", "%2E%2E%2f", "..%2f..%2f", "%00", "%c0%af", "%ff%fe", "//", "\\", "..\\",
    ".sgwtmp", ".sgwtmp/multipart", "%2esgwtmp", ".SGWTMP", "lost+found", "link", "link/secret.txt",
    "fifo", "%ed%a0%80", "%f0%9f%92%a9", "%", "%zz", "%u0041", "+", ";", "~", "a" * 300, "%20" * 90,
    "secret.txt", "etc/passwd", "proc/self/environ", "%0d%0aX-Evil:%201", "CON", "*", "?", "#x",
    "%25", "%252e%252e", "\x7f", "é", "ÿ" * 40, "directory/", "file", "file/below", "directory",
)  # fmt: skip
VALUES = (
    "", "0", "1", "-1", "1000", "1001", "99999999999999999999", "1e3", "0x10", "٣", "NaN", "null",
    "true", "..", "../../secret.txt", "%00", "%ff", "%", "a" * 3000, "/", "//", "\t", "é", "{}",
    "*", "url", "bytes=0-0", "bytes=-1", "bytes=9-1", "bytes=0-,1-", "bytes=9999999999999999999-",
    "bytes=-99999999999999999999", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Feb 2026 99:00:00 GMT",
    '"', '"abc', 'W/"x"', '"a", "b", *', ",", ";", "=", "CRC32", "SHA256", "AAAAAA==", "!!!!",
    "100-continue", "200-maybe", "chunked", "gzip", "aws-chunked", "STANDARD", "GLACIER", "REPLACE",
    "COPY", "\x01", "=?utf-8?q?=ff?=", "=?x?b?y?=", "hostile/file", "/hostile/../secret.txt",
    "hostile/%2e%2e/%2e%2e/secret.txt", "hostile/file?versionId=1", "19700101T000000Z", "20261121",
)  # fmt: skip
QUERIES = (
    "list-type", "prefix", "delimiter", "marker", "max-keys", "start-after", "continuation-token",
    "encoding-type", "fetch-owner", "versions", "key-marker", "version-id-marker", "uploads",
    "uploadId", "partNumber", "versionId", "delete", "acl", "tagging", "location", "versioning",
    "policy", "cors", "attributes", "restore", "select", "torrent", "object-lock", "retention",
    "legal-hold", "response-content-type", "response-expires", "X-Amz-Algorithm", "X-Amz-Date",
    "X-Amz-Credential", "X-Amz-Expires", "X-Amz-Signature", "AWSAccessKeyId", "Signature",
    "Expires", "bucket-region", "max-buckets", "x-id", "", "nonsense", "max-uploads",
    "max-parts", "quota",
)  # fmt: skip
HEADERS = (
    "Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Content-MD5",
    "Content-Type", "Content-Encoding", "Content-Language", "Expires", "Cache-Control", "Expect",
    "x-amz-copy-source", "x-amz-copy-source-range", "x-amz-copy-source-if-match", "x-amz-acl",
    "x-amz-metadata-directive", "x-amz-tagging", "x-amz-tagging-directive", "x-amz-storage-class",
    "x-amz-checksum-crc32", "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1", "x-amz-checksum-sha256", "x-amz-checksum-algorithm",
    "x-amz-sdk-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type", "x-amz-trailer",
    "x-amz-decoded-content-length", "x-amz-meta-a", "x-amz-meta-", "x-amz-meta-a_b", "x-amz-meta-é",
    "x-amz-expected-bucket-owner", "x-amz-object-attributes", "x-amz-max-parts", "x-amz-mfa",
    "x-amz-part-number-marker", "x-amz-server-side-encryption", "x-amz-website-redirect-location",
    "x-amz-object-lock-mode", "x-amz-bucket-object-lock-enabled", "x-amz-security-token", "Date",
    "x-amz-write-offset-bytes", "Accept-Encoding", "Connection", "Upgrade", "X-Forwarded-For",
)  # fmt: skip

DOCUMENTS = (
    b"<Delete><Object><Key>file</Key></Object><Quiet>true</Quiet></Delete>",
    b"<Delete xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
    b"<Object><Key>../../secret.txt</Key></Object><Object><Key>.sgwtmp/x</Key></Object></Delete>",
    b"<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
    b"<Delete><Object><Key>&b;</Key></Object></Delete>",
    b"<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><Delete><Key>&x;</Key></Delete>",
    b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>",
    b"<CreateBucketConfiguration><LocationConstraint>mars</LocationConstraint>"
    b"</CreateBucketConfiguration>",
    b"<a>" * 5000,
    b"<?xml version='1.0' encoding='utf-16'?><Delete/>",
    b"\xef\xbb\xbf<Delete></Delete>",
    b"",
)

# Fields of a browser's form beside those that are headers
FIELDS = (
    "acl", "tagging", "success_action_redirect", "success_action_status", "redirect", "policy",
    "x-amz-signature", "x-amz-credential", "x-amz-date", "x-amz-meta-a", "x-amz-meta-ü", "bucket",
    "x-ignore-a", "file", "key", "x-amz-checksum-crc32", "x-amz-request-route",
)  # fmt: skip

RULES = (
    b"<CORSConfiguration><CORSRule><AllowedOrigin>https://*.example</AllowedOrigin>"
    b"<AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>"
    b"<AllowedHeader>*</AllowedHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule>"
    b"</CORSConfiguration>"
)
