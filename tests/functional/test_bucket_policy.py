"""The policy of a bucket: what is taken, kept, answered, and that it counts at once."""

import base64
import contextlib
import hashlib
import json
import os

import pytest
from paste.deploy import loadapp

from s3filters.pipeline import acl
from tests.daemon import ACCESS_KEY
from tests.functional.asking import Asker, fields, on_disk, refusal, told
from tests.functional.conftest import INI
from tests.functional.people import block, configure, only, policy

pytestmark = pytest.mark.usefixtures("accounts")  # whom policies name must be there

READ = policy({"Principal": only("bob"), "Action": "s3:GetObject"})
PUBLIC = policy({"Action": "s3:GetObject"})
ARN, IAM = "arn:aws:s3:::", "arn:aws:iam::"


def test_a_policy_is_kept_and_answered_as_it_was_sent(s3, ask, box):
    sent = json.dumps(json.loads(READ), indent=3)
    assert ask("PUT", "/box?policy", sent.encode()).status == 204
    answer = ask("GET", "/box?policy")
    assert (answer.status, answer.body) == (200, sent.encode())
    assert answer.headers["content-type"] == "application/json"
    assert os.getxattr(box, "user.policy") == sent.encode()
    assert s3.get_bucket_policy(Bucket="box")["Policy"] == sent


def test_boto3_sets_and_deletes_a_policy(s3, box):
    put = s3.put_bucket_policy(Bucket="box", Policy=READ)
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.get_bucket_policy(Bucket="box")["Policy"] == READ
    deleted = s3.delete_bucket_policy(Bucket="box")
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.get_bucket_policy, Bucket="box") == (404, "NoSuchBucketPolicy")
    s3.delete_bucket_policy(Bucket="box")


def test_without_a_policy_there_is_no_status_either(ask, box):
    for query in ("policy", "policyStatus"):
        answer = ask("GET", f"/box?{query}")
        assert told(answer) == (404, "NoSuchBucketPolicy")
        assert fields(answer)["BucketName"] == "box"


@pytest.mark.parametrize(("text", "public"), [(READ, False), (PUBLIC, True)])
def test_the_status_says_whether_the_policy_is_public(s3, box, text, public):
    s3.put_bucket_policy(Bucket="box", Policy=text)
    status = s3.get_bucket_policy_status(Bucket="box")["PolicyStatus"]
    assert status == {"IsPublic": public}


def test_a_policy_counts_from_the_next_request_on(people, owned):
    assert told(people("bob", "GET", "/box/key")) == (403, "AccessDenied")
    assert people("owner", "PUT", "/box?policy", READ.encode()).status == 204
    assert people("bob", "GET", "/box/key").status == 200
    assert people("owner", "DELETE", "/box?policy").status == 204
    assert told(people("bob", "GET", "/box/key")) == (403, "AccessDenied")


@pytest.mark.parametrize("request_of", ["GET", "PUT", "DELETE"])
def test_a_policy_is_the_owners_alone_whatever_it_allows(people, owned, request_of):
    everything = policy({"Principal": only("bob"), "Action": "s3:*", "Resource": ["", "/*"]})
    assert people("owner", "PUT", "/box?policy", everything.encode()).status == 204
    body = READ.encode() if request_of == "PUT" else b""
    answer = people("bob", request_of, "/box?policy", body)
    assert told(answer) == (405, "MethodNotAllowed")
    assert os.getxattr(owned, "user.policy") == everything.encode()


@pytest.mark.parametrize("confirm", [{}, {"x-amz-confirm-remove-self-bucket-access": "true"}])
def test_nobody_locks_himself_out(people, owned, confirm):
    deny = policy({"Effect": "Deny", "Action": "s3:*", "Resource": ["", "/*"]})
    assert people("owner", "PUT", "/box?policy", deny.encode(), confirm).status == 204
    assert told(people("owner", "GET", "/box/key")) == (403, "AccessDenied")
    assert told(people("boss", "GET", "/box/key")) == (403, "AccessDenied")
    assert people("owner", "GET", "/box?policy").status == 200
    assert people("owner", "DELETE", "/box?policy").status == 204
    assert people("owner", "GET", "/box/key").status == 200


@contextlib.contextmanager
def revoking(folder, monkeypatch):
    """Take the policy away as soon as a request was let in."""
    admit = acl.Acl.admit

    def admitted(self, call, environ):
        admit(self, call, environ)
        configure(folder, policy=None)

    with monkeypatch.context() as patched:
        patched.setattr(acl.Acl, "admit", admitted)
        yield


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_what_was_allowed_is_decided_again_when_it_is_done(people, owned, monkeypatch, method):
    body = b"<Tagging><TagSet><Tag><Key>a</Key><Value>new</Value></Tag></TagSet></Tagging>"
    headers = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    os.setxattr(owned, "user.X-Amz-Tagging", b'{"a":"old"}')
    may = {"Principal": only("bob"), "Action": "s3:PutBucketTagging", "Resource": ""}
    configure(owned, policy=policy(may))
    words_of = (method, "/box?tagging", *((body, headers) if method == "PUT" else ()))
    with revoking(owned, monkeypatch):
        assert told(people("bob", *words_of)) == (403, "AccessDenied")
    assert os.getxattr(owned, "user.X-Amz-Tagging") == b'{"a":"old"}'
    configure(owned, policy=policy(may))
    assert people("bob", *words_of).status == 204


def test_a_deletion_that_was_allowed_is_decided_again_when_it_is_done(people, owned, monkeypatch):
    assert people("owner", "DELETE", "/box/key").status == 204
    configure(owned, policy=policy({"Action": "s3:DeleteBucket", "Resource": ""}))
    with revoking(owned, monkeypatch):
        assert told(people("bob", "DELETE", "/box")) == (403, "AccessDenied")
    assert people("owner", "HEAD", "/box").status == 200
    configure(owned, policy=policy({"Action": "s3:DeleteBucket", "Resource": ""}))
    assert people("bob", "DELETE", "/box").status == 204
    assert not owned.exists()


def statement(**changes):
    whole = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    whole |= {"Resource": f"{ARN}box/*"} | changes
    return json.dumps({"Version": "2012-10-17", "Statement": [whole]}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"<Policy/>",
        b"\xff\xfe",
        b'{"Version":"2012-10-17"}',
        b'{"Version":"2012-10-17","Statement":[]}',
        b'{"Version":"2013-10-17","Statement":[{}]}',
        statement(Action="s3:Fly"),
        statement(Action="ec2:RunInstances"),
        statement(Action="s3:ListBucket"),
        statement(Principal={"AWS": "arn:aws:iam::1:role/somebody"}),
        statement(Principal={"Service": "cloudtrail.amazonaws.com"}),
        statement(Principal="bob"),
        statement(Resource=f"{ARN}other/*"),
        statement(Resource=f"{ARN}boxes"),
        statement(Resource="box/*"),
        statement(Effect="Permit"),
        statement(Condition={"StringFits": {"aws:SourceIp": "1.2.3.4"}}),
        statement(Condition={"IpAddress": {"aws:SourceIp": "300.1.1.1"}}),
        statement(Condition={"StringEquals": {"aws:Weather": "rain"}}),
        statement(Whatever="else"),
    ],
)
def test_what_cannot_be_enforced_is_refused_and_the_old_policy_stays(ask, box, body):
    assert ask("PUT", "/box?policy", READ.encode()).status == 204
    assert told(ask("PUT", "/box?policy", body)) == (400, "MalformedPolicy")
    assert os.getxattr(box, "user.policy") == READ.encode()


def sized(size):
    """A policy of so many bytes."""
    text = READ[:-1] + ', "Id": "%s"}'
    return (text % ("x" * (size - len(text) + 2))).encode()


def test_a_policy_has_at_most_20_kib_and_is_kept_where_no_attribute_holds_it(ask, box, people):
    answer = ask("PUT", "/box?policy", sized(20 * 1024))
    assert answer.status == 204, answer.body
    assert ask("GET", "/box?policy").body == sized(20 * 1024)
    for size in (20 * 1024 + 1, 70_000):
        assert told(ask("PUT", "/box?policy", sized(size))) == (400, "MalformedPolicy")
    assert ask("PUT", "/box/key", b"hello").status == 200
    assert people("bob", "GET", "/box/key").status == 200
    assert ask("DELETE", "/box?policy").status == 204
    assert people("bob", "GET", "/box/key").status == 403


def test_a_public_policy_is_refused_where_the_bucket_blocks_it(ask, box):
    configure(box, block=block(BlockPublicPolicy=True))
    assert told(ask("PUT", "/box?policy", PUBLIC.encode())) == (403, "AccessDenied")
    assert "user.policy" not in os.listxattr(box)
    assert ask("PUT", "/box?policy", READ.encode()).status == 204


def test_a_public_policy_is_refused_where_the_gateway_blocks_it(settings, tmp_path, box):
    line = "use = egg:s3filters#acl\n"
    strict = tmp_path / "strict.ini"
    strict.write_text(INI.read_text().replace(line, f"{line}block_public_policy = true\n"))
    ask = Asker(loadapp(f"config:{strict}", global_conf=settings))
    assert told(ask("PUT", "/box?policy", PUBLIC.encode())) == (403, "AccessDenied")
    assert ask("PUT", "/box?policy", READ.encode()).status == 204


def test_a_stored_policy_that_is_not_understood_is_shown_and_taken_for_public(people, owned):
    configure(owned, policy='{"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps"}]}')
    assert b"Perhaps" in people("owner", "GET", "/box?policy").body
    answer = people("owner", "GET", "/box?policyStatus")
    assert b"<IsPublic>true</IsPublic>" in answer.body
    assert people("owner", "DELETE", "/box?policy").status == 204


@pytest.mark.parametrize(
    "query",
    ["policy", "policyStatus", "acl", "tagging", "ownershipControls", "publicAccessBlock"],
)
def test_a_bucket_that_is_not_there_has_no_settings(ask, root, query):
    assert told(ask("GET", f"/nowhere?{query}")) == (404, "NoSuchBucket")
    assert on_disk(root) == {}


@pytest.mark.parametrize("query", ["policy", "tagging", "ownershipControls", "publicAccessBlock"])
@pytest.mark.parametrize("owner", ["somebody", ACCESS_KEY])
def test_the_expected_owner_of_the_bucket_is_asked_for(ask, box, query, owner):
    header = {"x-amz-expected-bucket-owner": owner}
    answers = [ask(method, f"/box?{query}", b"", header) for method in ("GET", "DELETE")]
    codes = [answer.code for answer in answers]
    assert (codes == ["AccessDenied"] * 2) is (owner == "somebody")


def test_a_proof_of_the_body_that_does_not_hold_changes_nothing(ask, box):
    header = {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert told(ask("PUT", "/box?policy", READ.encode(), header)) == (400, "BadDigest")
    assert "user.policy" not in os.listxattr(box)


KNOWN = [
    "*",
    "bob",
    "AKBOB",
    f"{IAM}bob:root",
    f"{IAM}bob:user/Bob",
    f"{IAM}:user/bob",
]
NOBODYS = [f"{IAM}bob:user/bob", f"{IAM}bob:user/Eve", f"{IAM}AKBOB:root", f"{IAM}:user/AKBOB"]


@pytest.mark.parametrize("kind", ["Principal", "NotPrincipal"])
def test_whom_a_policy_names_must_be_there(people, owned, kind):
    def put(*names, key="AWS"):
        rule = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": f"{ARN}box/*"}
        document = {"Version": "2012-10-17", "Statement": [{**rule, kind: {key: list(names)}}]}
        return people("owner", "PUT", "/box?policy", json.dumps(document).encode())

    assert put(*KNOWN).status == 204
    assert put("bob", "eve", key="CanonicalUser").status == 204
    for name in KNOWN[1:]:
        answer = put("eve", name.replace("bob", "nobody").replace("BOB", "NOBODY"))
        assert told(answer) == (400, "MalformedPolicy")
        assert fields(answer)["Message"] == "Invalid principal in policy"
    for name in NOBODYS:
        assert told(put("eve", name)) == (400, "MalformedPolicy")
    for name in ("nobody", "AKBOB"):
        assert told(put(name, key="CanonicalUser")) == (400, "MalformedPolicy")
    assert b"CanonicalUser" in people("owner", "GET", "/box?policy").body


def test_a_policy_may_name_the_owner_of_the_bucket_whose_account_is_gone(people, owned):
    configure(owned, owner="gone")
    document = policy({"Principal": only("gone", f"{IAM}gone:root"), "Action": "s3:GetObject"})
    assert people("boss", "PUT", "/box?policy", document.encode()).status == 204
    configure(owned, owner="owner")
    answer = people("owner", "PUT", "/box?policy", document.encode())
    assert told(answer) == (400, "MalformedPolicy")


def test_a_stranger_does_not_learn_who_has_an_account(people, owned):
    for name in ("bob", "nobody"):
        document = policy({"Principal": only(name), "Action": "s3:GetObject"})
        answer = people("eve", "PUT", "/box?policy", document.encode())
        assert told(answer) == (403, "AccessDenied")
