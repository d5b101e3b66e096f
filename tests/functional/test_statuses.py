"""The status of each operation that succeeds.

It is what botocore's model of S3 says, and 200 where that says nothing. Two answer 204 all the
same, by the sample answers of AWS's pages of PutBucketPolicy and PutBucketTagging.
"""

import json

import pytest
from botocore import xform_name

ALSO_204 = {"PutBucketPolicy", "PutBucketTagging"}
POLICY = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::box/*",
    },
}
TAGS = {"Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}}
CORS = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
OWNERSHIP = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
OBJECT = {"Key": "key"}
ASKED = [  # in this order, in a bucket that is not there yet
    ("CreateBucket", {}),
    ("HeadBucket", {}),
    ("PutBucketPolicy", {"Policy": json.dumps(POLICY)}),
    ("GetBucketPolicy", {}),
    ("DeleteBucketPolicy", {}),
    ("PutBucketTagging", TAGS),
    ("GetBucketTagging", {}),
    ("DeleteBucketTagging", {}),
    ("PutBucketCors", {"CORSConfiguration": CORS}),
    ("GetBucketCors", {}),
    ("DeleteBucketCors", {}),
    ("PutPublicAccessBlock", {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True}}),
    ("GetPublicAccessBlock", {}),
    ("DeletePublicAccessBlock", {}),
    ("PutBucketOwnershipControls", {"OwnershipControls": OWNERSHIP}),
    ("GetBucketOwnershipControls", {}),
    ("DeleteBucketOwnershipControls", {}),
    ("PutBucketAcl", {"ACL": "private"}),
    ("GetBucketAcl", {}),
    ("PutObject", OBJECT),
    ("PutObjectAcl", {**OBJECT, "ACL": "private"}),
    ("PutObjectTagging", {**OBJECT, **TAGS}),
    ("GetObjectTagging", OBJECT),
    ("DeleteObjectTagging", OBJECT),
    ("CopyObject", {"Key": "copy", "CopySource": "box/key"}),
    ("DeleteObjects", {"Delete": {"Objects": [{"Key": "copy"}]}}),
    ("CreateMultipartUpload", OBJECT),
    ("AbortMultipartUpload", OBJECT),
    ("DeleteObject", OBJECT),
    ("DeleteBucket", {}),
]


@pytest.fixture
def statuses(s3):
    """Ask all, in order; return the status of each."""
    found, upload = {}, {}
    for name, params in ASKED:
        more = upload if name == "AbortMultipartUpload" else {}
        answer = getattr(s3, xform_name(name))(Bucket="box", **params, **more)
        if name == "CreateMultipartUpload":
            upload = {"UploadId": answer["UploadId"]}
        found[name] = answer["ResponseMetadata"]["HTTPStatusCode"]
    return found


def test_each_operation_that_succeeds_has_the_status_of_s3(s3, statuses):
    wanted = {}
    for name in statuses:
        said = s3.meta.service_model.operation_model(name).http.get("responseCode", 200)
        wanted[name] = 204 if name in ALSO_204 else said
    assert statuses == wanted
    assert list(wanted.values()).count(204) == 11
