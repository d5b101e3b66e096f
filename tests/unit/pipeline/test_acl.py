"""acl: whom it lets in, what it leaves in the call, and what it asks of the app at the end."""

import gc
import json
import logging
import weakref
from types import SimpleNamespace

import pytest

from s3filters import options
from s3filters.access import block
from s3filters.pipeline import acl
from s3filters.pipeline.base import Filter
from s3filters.s3.call import KEY, Call, CopySource, Identity
from s3filters.s3.conditions import Conditions
from s3filters.s3.errors import S3Error
from s3filters.s3.operations import ROWS

ADMIN, MAKER, BOB = (
    Identity(f"AK{name}", name, name.title(), role)
    for name, role in (("boss", "admin"), ("maker", "userplus"), ("bob", "user"))
)
ENFORCED = {"ownership": b"BucketOwnerEnforced"}
WRITER = {"ownership": b"ObjectWriter"}


class Buckets:
    """An app at the end that knows buckets: ``pail`` and ``sink`` of the owner."""

    def __init__(self, **settings):
        self.asked = []
        settings = ENFORCED | settings
        self.records = {
            name: SimpleNamespace(name=name, owner="owner", settings=settings)
            for name in ("pail", "sink")
        }

    def __call__(self, environ, start_response):
        start_response("200 OK", [])
        return [b"below"]

    def bucket_facts(self, bucket):
        self.asked.append(bucket)
        if bucket not in self.records:
            raise S3Error("NoSuchBucket", BucketName=bucket)
        return self.records[bucket]

    def object_tags(self, record):
        return record.tags


def policy(*statements):
    usual = {"Effect": "Allow", "Principal": "*", "Resource": "arn:aws:s3:::pail/*"}
    whole = [usual | one for one in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": whole}).encode()


def thing(owner="owner", *, grants=(), tags=None):
    """The record of an object."""
    text = json.dumps({"Owner": owner, "Grantees": list(grants)}).encode()
    return SimpleNamespace(acl=text, tags=tags or {}, initiator=owner)


def call(operation="GetObject", identity=BOB, **fields):
    return Call(operation, **{"bucket": "pail", "key": "key", "identity": identity} | fields)


def admit(made, below=None, environ=None, **chosen):
    """Let the filter decide on a call; return the call."""
    acl.filter_factory({}, **chosen)(below or Buckets()).admit(made, environ or {})
    return made


def refused(*args, **chosen):
    with pytest.raises(S3Error) as caught:
        admit(*args, **chosen)
    return caught.value.code


def name_of(row):
    return row.name


# --- the filter ----------------------------------------------------------------------------------


def answered(app, made):
    seen = []
    environ = {"REQUEST_METHOD": "GET"} | ({KEY: made} if made else {})
    return b"".join(app(environ, lambda *answer: seen.append(answer[0]))), seen[0]


def test_what_is_let_in_is_passed_on_and_what_is_not_is_answered():
    app = acl.filter_factory({})(Buckets())
    assert answered(app, call(identity=ADMIN)) == (b"below", "200 OK")
    body, status = answered(app, call())
    assert status == "403 Forbidden"
    assert b"<Code>AccessDenied</Code>" in body


def test_a_request_without_a_call_is_not_its_business():
    assert answered(acl.filter_factory({})(Buckets()), None) == (b"below", "200 OK")


def test_it_passes_by_filters_that_have_nothing_for_the_operation():
    class Between(Filter):
        def __call__(self, environ, start_response):
            raise AssertionError

    app = acl.filter_factory({})(Between(Buckets()))
    assert answered(app, call(identity=ADMIN))[0] == b"below"


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.name != "ListBuckets"], ids=lambda row: row.name
)
def test_it_decides_every_operation(row):
    app = acl.filter_factory({})(Buckets(**WRITER))
    assert app.has(row.name)
    allowed = call(row.name, ADMIN)
    app.admit(allowed, {})
    assert allowed.guarded
    made = call(row.name)
    with pytest.raises(S3Error, match="AccessDenied"):
        app.admit(made, {})
        for check in made.checks:  # where it is the object that decides
            check(thing())


def test_options_that_are_not_known_are_refused():
    with pytest.raises(options.OptionError):
        acl.filter_factory({}, colour="red")


# --- behind it is nobody who knows buckets -------------------------------------------------------


def below(environ, start_response):
    start_response("200 OK", [])
    return [b"below"]


@pytest.mark.parametrize("operation", [row.name for row in ROWS])
def test_before_an_app_that_knows_no_buckets_only_administrators_are_let_in(caplog, operation):
    with caplog.at_level(logging.WARNING):
        app = acl.filter_factory({})(below)
    assert "only administrators" in caplog.text
    assert answered(app, call(operation, ADMIN)) == (b"below", "200 OK")
    for identity in (MAKER, BOB, None):
        assert answered(app, call(operation, identity))[1] == "403 Forbidden"


def test_whoever_knows_the_buckets_is_found_behind_other_filters(caplog):
    app = acl.filter_factory({})(Filter(Filter(Buckets())))
    assert not caplog.records
    assert answered(app, call(identity=ADMIN))[0] == b"below"


# --- the service ---------------------------------------------------------------------------------


def test_a_list_of_buckets_shows_an_account_its_own():
    made = call("ListBuckets", MAKER, bucket="", key="")
    assert admit(made).owners == {"maker", "AKmaker"}
    assert admit(call("ListBuckets", ADMIN, bucket="", key="")).owners is None
    assert refused(call("ListBuckets", None, bucket="", key="")) == "AccessDenied"


def test_what_else_the_service_may_be_asked_is_the_administrators():
    for identity in (MAKER, BOB, None):
        assert refused(call("ListDirectoryBuckets", identity, bucket="")) == "AccessDenied"
    admit(call("ListDirectoryBuckets", ADMIN, bucket=""))


def test_a_new_bucket_is_not_looked_up():
    found = Buckets()
    assert admit(call("CreateBucket", MAKER), found).settings is None
    assert refused(call("CreateBucket", BOB), found) == "AccessDenied"
    assert not found.asked


def test_a_new_bucket_gets_the_settings_that_its_headers_ask_for():
    made = call("CreateBucket", MAKER)
    admit(made, environ={"HTTP_X_AMZ_OBJECT_OWNERSHIP": "ObjectWriter"})
    assert made.settings["ownership"] == b"ObjectWriter"
    assert json.loads(made.settings["acl"])["Owner"] == "maker"
    public = {"HTTP_X_AMZ_ACL": "public-read", "HTTP_X_AMZ_OBJECT_OWNERSHIP": "ObjectWriter"}
    admit(made, environ=public)
    grants = json.loads(made.settings["acl"])["Grantees"]
    assert {"Permission": "READ", "Access": "all-users", "Type": "Group"} in grants
    assert refused(made, environ=public, block_public_acls="true") == "AccessDenied"
    code = refused(made, environ={"HTTP_X_AMZ_ACL": "public-read"})
    assert code == "InvalidBucketAclWithObjectOwnership"


def test_new_buckets_have_all_switches_on_where_the_site_wants_that():
    made = call("CreateBucket", MAKER)
    admit(made, block_public_access="yes")
    assert block.load(made.settings["public-access-block"]) == block.ON
    assert made.settings.keys() == {"public-access-block"}
    writers = {"HTTP_X_AMZ_OBJECT_OWNERSHIP": "ObjectWriter"}
    admit(made, environ=writers, block_public_access="yes")
    assert made.settings.keys() == {"public-access-block", "acl", "ownership"}
    for canned in ("public-read", "authenticated-read"):
        code = refused(
            made, environ={**writers, "HTTP_X_AMZ_ACL": canned}, block_public_access="on"
        )
        assert code == "InvalidBucketAclWithBlockPublicAccessError"


# --- the bucket ----------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["GetObject", "ListParts", "ListObjectsV2", "PutObject"])
@pytest.mark.parametrize("settings", [WRITER, {"policy": policy({"Action": "s3:*"})}])
def test_a_request_that_is_over_is_no_ring_for_the_garbage_collector(operation, settings):
    app = acl.filter_factory({})(Buckets(**settings))
    made = call(operation)
    gone = weakref.ref(made)
    gc.disable()
    try:
        app({"REQUEST_METHOD": "GET", KEY: made}, lambda *_: None)
        del made
        assert gone() is None
    finally:
        gc.enable()


def test_the_record_of_a_bucket_is_read_once_and_handed_on():
    found = Buckets()
    made = admit(call(identity=ADMIN), found)
    assert made.bucket_record is found.records["pail"]
    assert made.facts.name == "pail"
    assert found.asked == ["pail"]
    assert refused(call(bucket="nowhere"), found) == "NoSuchBucket"


def test_what_a_record_says_is_taken_apart_once(monkeypatch):
    taken = []
    of_bucket = acl.facts.of_bucket
    monkeypatch.setattr(
        acl.facts, "of_bucket", lambda *args: taken.append(args) or of_bucket(*args)
    )
    monkeypatch.setattr(acl, "_MOST_KNOWN", 1)
    found = Buckets()
    app = acl.filter_factory({})(found)
    for bucket in ("pail", "pail", "sink", "sink", "pail"):
        app.admit(call(identity=ADMIN, bucket=bucket), {})
    assert [record.name for record, _ in taken] == ["pail", "sink", "pail"]
    found.records["pail"] = SimpleNamespace(**vars(found.records["pail"]))
    app.admit(call(identity=ADMIN), {})
    assert len(taken) == 3


@pytest.mark.parametrize("change", [{"settings": WRITER}, {"owner": "bob"}, {"name": "pail2"}])
def test_a_record_that_is_read_anew_counts_as_soon_as_it_says_something_else(change):
    found = Buckets()
    app = acl.filter_factory({})(found)
    app.admit(call(identity=ADMIN), {})
    record = SimpleNamespace(**vars(found.records["pail"]) | change)
    found.records["pail"] = record
    made = call(identity=ADMIN)
    app.admit(made, {})
    assert made.bucket_record is record
    assert made.facts == acl.facts.of_bucket(record)


@pytest.mark.parametrize("who", [BOB, None])
def test_requests_without_a_signature_can_be_refused_altogether(who):
    found = Buckets(policy=policy({"Action": "s3:GetObject"}))
    admit(call(identity=who), found)
    if who is None:
        assert refused(call(identity=who), found, anonymous="false") == "AccessDenied"
    else:
        admit(call(identity=who), found, anonymous="false")


@pytest.mark.parametrize(
    ("switch", "settings"),
    [
        ("restrict_public_buckets", {"policy": policy({"Action": "s3:GetObject"})}),
        (
            "ignore_public_acls",
            {
                **WRITER,
                "acl": b'{"Owner":"owner","Grantees":[{"Permission":"READ","Access":"all-users",'
                b'"Type":"Group"}]}',
            },
        ),
    ],
)
def test_the_switches_are_on_for_every_bucket(switch, settings):
    found = Buckets(**settings)
    operation = "ListObjectsV2" if "acl" in settings else "GetObject"
    admit(call(operation), found)
    assert refused(call(operation), found, **{switch: "true"}) == "AccessDenied"
    assert admit(call(identity=ADMIN), found, block_public_policy="true").facts.block.block_policy


# --- copies --------------------------------------------------------------------------------------


def copy(source="sink", identity=BOB, **fields):
    made = CopySource(source, "from", None, Conditions())
    return call("CopyObject", identity, copy_source=made, **fields)


READS = policy({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::sink/*"})
WRITES = policy({"Action": "s3:PutObject"})


def test_a_copy_is_decided_for_both_of_its_buckets():
    found = Buckets()
    found.records["pail"].settings = {**ENFORCED, "policy": WRITES}
    assert refused(copy(), found) == "AccessDenied"
    found.records["sink"].settings = {**ENFORCED, "policy": READS}
    made = admit(copy(), found)
    assert made.facts.name == "pail"
    for check in made.source_checks:
        check(thing())
    found.records["pail"] = SimpleNamespace(name="pail", owner="owner", settings=ENFORCED)
    assert refused(copy(), found) == "AccessDenied"
    assert refused(copy("nowhere", ADMIN), found) == "NoSuchBucket"


def test_a_copy_within_a_bucket_asks_for_its_record_once():
    found = Buckets()
    admit(copy("pail", ADMIN), found)
    assert found.asked == ["pail"]
