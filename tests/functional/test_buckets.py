"""Buckets: making, finding, listing and deleting them; where they are and whose."""

import os

import pytest

from s3filters.s3 import tokens
from tests.daemon import ACCESS_KEY
from tests.functional.asking import Asker, document, fields, on_disk, refusal
from tests.raw import Signer


@pytest.fixture
def in_europe(make_app):
    """Asks the pipeline in another region."""
    ask = Asker(make_app(region="eu-north-1"))
    ask.signer = Signer(ask.host, region="eu-north-1")
    return ask


def configuration(region):
    return (
        f"<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint>"
        "</CreateBucketConfiguration>"
    ).encode()


# --- making ------------------------------------------------------------------------------------


def test_a_bucket_is_a_folder_with_an_owner(ask, root):
    answer = ask("PUT", "/box")
    assert (answer.status, answer.headers["location"]) == (200, "/box")
    assert os.listdir(root) == ["box"]
    assert f'"Owner":"{ACCESS_KEY}"'.encode() in os.getxattr(root / "box", "user.acl")
    assert os.getxattr(root / "box", "user.ownership") == b"BucketOwnerEnforced"


def test_ones_own_bucket_may_be_made_again_in_us_east_1(s3, box):
    s3.put_object(Bucket="box", Key="key", Body=b"x")
    s3.create_bucket(Bucket="box")
    assert (box / "key").exists()


def test_ones_own_bucket_is_a_conflict_elsewhere(in_europe, root):
    ask = in_europe
    assert ask("PUT", "/box", configuration("eu-north-1")).status == 200
    answer = ask("PUT", "/box", configuration("eu-north-1"))
    assert (answer.status, answer.code) == (409, "BucketAlreadyOwnedByYou")
    assert fields(answer)["BucketName"] == "box"


def test_anothers_bucket_is_a_conflict(ask, root):
    (root / "box").mkdir()
    os.setxattr(root / "box", "user.acl", b'{"Owner":"somebody","Grantees":[]}')
    answer = ask("PUT", "/box")
    assert (answer.status, answer.code) == (409, "BucketAlreadyExists")


def test_a_file_in_the_way_is_a_conflict(ask, root):
    (root / "box").write_bytes(b"x")
    answer = ask("PUT", "/box")
    assert (answer.status, answer.code) == (409, "BucketAlreadyExists")
    assert (root / "box").read_bytes() == b"x"


@pytest.mark.parametrize(
    "name",
    ["ab", "a" * 64, "Box", "b_x", "-box", "box-", ".box", "a..b", "1.2.3.4", "b%20x", "b%C3%BC",
     "xn--box", "box-s3alias", ".sgwtmp", "sthree-box", "b%0ax", ".box.sgwtmp.1"],
)  # fmt: skip
def test_a_name_that_no_bucket_can_have_is_refused(ask, root, name):
    answer = ask("PUT", f"/{name}")
    assert (answer.status, answer.code) == (400, "InvalidBucketName")
    assert on_disk(root) == {}


@pytest.mark.parametrize("name", ["abc", "a" * 63, "a.b-c.1", "123", "1.2.3.4.5"])
def test_a_name_that_a_bucket_can_have_is_taken(ask, root, name):
    assert ask("PUT", f"/{name}").status == 200
    assert ask("HEAD", f"/{name}").status == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (configuration("mars-north-1"), "IllegalLocationConstraintException"),
        (b"<CreateBucketConfiguration", "MalformedXML"),
        (b"<Other/>", "MalformedXML"),
        (b"<CreateBucketConfiguration><Tags/></CreateBucketConfiguration>", "NotImplemented"),
        (b" " * (1 << 17), "MalformedXML"),
    ],
)
def test_a_configuration_that_is_none_makes_no_bucket(ask, root, body, code):
    assert ask("PUT", "/box", body).code == code
    assert on_disk(root) == {}


@pytest.mark.parametrize("body", [configuration("us-east-1"), configuration(""), b""])
def test_the_regions_own_configuration_makes_one(ask, root, body):
    assert ask("PUT", "/box", body).status == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-acl": "public-read-write"}, "InvalidBucketAclWithObjectOwnership"),
        ({"x-amz-acl": "public-read", "x-amz-grant-read": "id=x"}, "InvalidRequest"),
        ({"x-amz-acl": "all-read"}, "InvalidArgument"),
        ({"x-amz-grant-read": "public-read-write"}, "InvalidArgument"),
        ({"x-amz-object-ownership": "public-read-write"}, "InvalidArgument"),
    ],
)
def test_grants_and_ownership_that_cannot_be_make_no_bucket(ask, root, headers, code):
    answer = ask("PUT", "/box", headers=headers)
    assert (answer.status, answer.code) == (400, code)
    assert on_disk(root) == {}


def test_object_lock_is_refused(ask, root):
    assert ask("PUT", "/box", headers={"x-amz-bucket-object-lock-enabled": "false"}).status == 200
    answer = ask("PUT", "/other", headers={"x-amz-bucket-object-lock-enabled": "true"})
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert os.listdir(root) == ["box"]


# --- finding -----------------------------------------------------------------------------------


def test_head_bucket_tells_the_region(s3, ask, box):
    answer = ask("HEAD", "/box")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["x-amz-bucket-region"] == "us-east-1"
    assert refusal(s3.head_bucket, Bucket="none") == (404, "404")


def test_a_folder_of_somebody_is_a_bucket(s3, root):
    (root / "theirs").mkdir()
    (root / "theirs" / "file").write_bytes(b"x")
    s3.head_bucket(Bucket="theirs")
    assert s3.get_object(Bucket="theirs", Key="file")["Body"].read() == b"x"
    assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == ["theirs"]


@pytest.mark.parametrize("name", ["file", "fifo", "dangling", "outside"])
def test_what_is_no_folder_inside_the_root_is_no_bucket(s3, ask, root, tmp_path, name):
    (root / "file").write_bytes(b"x")
    os.mkfifo(root / "fifo")
    (root / "dangling").symlink_to("nowhere")
    (tmp_path / "away").mkdir()
    (root / "outside").symlink_to(tmp_path / "away")
    assert s3.list_buckets()["Buckets"] == []
    for method, target in (("HEAD", ""), ("GET", ""), ("GET", "/key"), ("PUT", "/key")):
        status = ask(method, f"/{name}{target}", b"x" if method == "PUT" else b"").status
        assert status in (403, 404), (method, target)
    assert os.listdir(tmp_path / "away") == []


def test_the_location_of_us_east_1_is_empty(s3, ask, box):
    answer = ask("GET", "/box?location")
    assert answer.body.endswith(b"></LocationConstraint>")
    assert s3.get_bucket_location(Bucket="box")["LocationConstraint"] is None


def test_the_location_elsewhere_is_the_region(in_europe, root):
    ask = in_europe
    ask("PUT", "/box")
    assert document(ask("GET", "/box?location")).text == "eu-north-1"
    assert ask("HEAD", "/box").headers["x-amz-bucket-region"] == "eu-north-1"


def test_versioning_was_never_set(s3, box):
    assert "Status" not in s3.get_bucket_versioning(Bucket="box")


@pytest.mark.parametrize(("value", "status"), [(b"\x01", "Enabled"), (b"\x00", "Suspended")])
def test_versioning_is_what_another_gateway_set(s3, box, value, status):
    os.setxattr(box, "user.versioning", value)
    assert s3.get_bucket_versioning(Bucket="box")["Status"] == status


@pytest.mark.parametrize(
    "call",
    ["head_bucket", "get_bucket_location", "get_bucket_versioning", "delete_bucket",
     "list_objects", "list_objects_v2", "list_object_versions"],
)  # fmt: skip
def test_a_bucket_may_be_asked_for_its_owner(s3, box, call):
    verb = getattr(s3, call)
    assert refusal(verb, Bucket="box", ExpectedBucketOwner="other")[0] == 403
    verb(Bucket="box", ExpectedBucketOwner=ACCESS_KEY)


@pytest.mark.parametrize(
    "call", ["get_object", "head_object", "delete_object", "put_object", "get_object_attributes"]
)
def test_an_object_may_be_asked_for_its_buckets_owner(s3, box, call):
    s3.put_object(Bucket="box", Key="key", Body=b"x")
    before = on_disk(box)
    args = {"Bucket": "box", "Key": "key"}
    if call == "get_object_attributes":
        args["ObjectAttributes"] = ["ETag"]
    verb = getattr(s3, call)
    assert refusal(verb, **args, ExpectedBucketOwner="other")[0] == 403
    assert on_disk(box) == before
    verb(**args, ExpectedBucketOwner=ACCESS_KEY)


# --- listing -----------------------------------------------------------------------------------


def names(answer):
    return [bucket["Name"] for bucket in answer["Buckets"]]


@pytest.fixture
def five(s3):
    made = ["a-1", "a-2", "a.3", "b-1", "b-2"]
    made = [f"{name}-box" for name in made]
    for name in reversed(made):
        s3.create_bucket(Bucket=name)
    return sorted(made)


def test_buckets_are_listed_in_order_with_owner_and_region(s3, five):
    answer = s3.list_buckets()
    assert names(answer) == five
    assert answer["Owner"]["ID"] == ACCESS_KEY
    assert {bucket["BucketRegion"] for bucket in answer["Buckets"]} == {"us-east-1"}
    assert "ContinuationToken" not in answer


def test_the_date_of_a_bucket_stays_while_objects_come(s3, box):
    before = s3.list_buckets()["Buckets"][0]["CreationDate"]
    os.utime(box, (0, 0))
    s3.put_object(Bucket="box", Key="key", Body=b"x")
    assert s3.list_buckets()["Buckets"][0]["CreationDate"] == before


def test_a_page_goes_on_where_the_last_one_ended(s3, five):
    found, args = [], {}
    for _ in range(3):
        answer = s3.list_buckets(MaxBuckets=2, **args)
        assert len(answer["Buckets"]) <= 2
        found += names(answer)
        if "ContinuationToken" not in answer:
            break
        args = {"ContinuationToken": answer["ContinuationToken"]}
    assert found == five
    assert "ContinuationToken" not in s3.list_buckets(MaxBuckets=5)


def test_a_bucket_made_or_deleted_between_two_pages_confuses_nobody(s3, five):
    token = s3.list_buckets(MaxBuckets=2)["ContinuationToken"]
    s3.delete_bucket(Bucket=five[1])
    s3.create_bucket(Bucket="a-0-box")
    assert names(s3.list_buckets(ContinuationToken=token)) == five[2:]


def test_a_prefix_chooses(s3, five):
    answer = s3.list_buckets(Prefix="a-")
    assert (names(answer), answer["Prefix"]) == (five[:2], "a-")
    assert names(s3.list_buckets(Prefix="none")) == []
    answer = s3.list_buckets(Prefix="b", MaxBuckets=1)
    assert names(answer) == five[3:4]
    answer = s3.list_buckets(Prefix="b", ContinuationToken=answer["ContinuationToken"])
    assert names(answer) == five[4:]


def test_of_another_region_there_are_none(s3, five):
    assert names(s3.list_buckets(BucketRegion="us-east-1")) == five
    assert names(s3.list_buckets(BucketRegion="eu-north-1")) == []


@pytest.mark.parametrize(
    "query", ["max-buckets=0", "max-buckets=10001", "max-buckets=x", "continuation-token=x!"]
)
def test_a_page_that_cannot_be_is_refused(ask, root, query):
    answer = ask("GET", f"/?{query}")
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert fields(answer)["ArgumentName"] == query.partition("=")[0]


def test_a_token_is_no_way_out_of_the_root(ask, five):
    token = tokens.encode("../../etc")
    assert ask("GET", f"/?continuation-token={token}").status == 200


# --- deleting ----------------------------------------------------------------------------------


def test_an_empty_bucket_is_deleted(s3, ask, root, box):
    answer = ask("DELETE", "/box")
    assert (answer.status, answer.body) == (204, b"")
    assert on_disk(root) == {}
    assert refusal(s3.delete_bucket, Bucket="box") == (404, "NoSuchBucket")


def test_a_bucket_that_was_used_is_deleted_with_what_that_left(s3, root, box):
    for _ in range(2):
        s3.put_object(Bucket="box", Key="a/b", Body=b"x")
    s3.delete_object(Bucket="box", Key="a/b")
    assert os.listdir(box) == [".sgwtmp"]
    s3.delete_bucket(Bucket="box")
    assert on_disk(root) == {}


@pytest.mark.parametrize("what", ["object", "directory object", "folder", "link", "fifo", "upload"])
def test_a_bucket_with_something_in_it_is_not_deleted(s3, ask, box, what):
    if what == "object":
        s3.put_object(Bucket="box", Key="a/b", Body=b"x")
    elif what == "directory object":
        s3.put_object(Bucket="box", Key="d/")
    elif what == "folder":
        (box / "d").mkdir()
    elif what == "link":
        (box / "l").symlink_to("nowhere")
    elif what == "fifo":
        os.mkfifo(box / "f")
    else:
        (box / ".sgwtmp/multipart/0/1").mkdir(parents=True)
    before = on_disk(box)
    answer = ask("DELETE", "/box")
    assert (answer.status, answer.code) == (409, "BucketNotEmpty")
    assert fields(answer)["BucketName"] == "box"
    assert on_disk(box) == before


def test_a_bucket_deleted_and_made_again_is_empty(s3, box):
    s3.put_object(Bucket="box", Key="key", Body=b"x")
    s3.delete_object(Bucket="box", Key="key")
    s3.delete_bucket(Bucket="box")
    s3.create_bucket(Bucket="box")
    assert s3.list_objects_v2(Bucket="box")["KeyCount"] == 0


# --- virtual-hosted style ----------------------------------------------------------------------


@pytest.fixture
def hosted(make_app):
    return make_app(storage_domain="s3.example.org, other.example.org")


def test_a_host_may_name_the_bucket(hosted, root):
    box = Asker(hosted, "my.box.s3.example.org")
    assert box("PUT", "/").status == 200
    assert os.listdir(root) == ["my.box"]
    assert box("PUT", "/a/b%20c", b"hello").status == 200
    assert (root / "my.box/a/b c").read_bytes() == b"hello"
    assert box("GET", "/a/b%20c").body == b"hello"
    assert document(box("GET", "/?list-type=2")).findtext("Contents/Key") == "a/b c"
    other = Asker(hosted, "MY.box.other.example.org:9900")
    assert other("GET", "/a/b%20c").body == b"hello"
    assert box("DELETE", "/a/b%20c").status == 204
    assert box("DELETE", "/").status == 204
    assert on_disk(root) == {}


def test_the_domain_itself_is_path_style(hosted, root):
    ask = Asker(hosted, "s3.example.org")
    assert ask("PUT", "/box").status == 200
    assert ask("PUT", "/box/key", b"hello").status == 200
    assert Asker(hosted, "127.0.0.1:9900")("GET", "/box/key").body == b"hello"
    assert Asker(hosted, "box.s3.example.org")("GET", "/key").body == b"hello"
    assert document(ask("GET", "/")).findtext("Buckets/Bucket/Name") == "box"


def test_a_host_is_no_way_out_of_the_root(hosted, root, tmp_path):
    (tmp_path / "key").write_bytes(b"secret")
    for host in ("...s3.example.org", "..s3.example.org", "%2e%2e.s3.example.org"):
        answer = Asker(hosted, host)("GET", "/key")
        assert answer.status in (400, 404), host
        assert b"secret" not in answer.body
