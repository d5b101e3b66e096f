import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.access import principals
from s3filters.access.principals import Requester
from s3filters.s3.call import Identity
from s3filters.s3.errors import S3Error

ALICE = Requester("alice-id", ("AK1", "AK2"), account="111122223333", name="alice")


@pytest.mark.parametrize(
    "element",
    [
        "*",
        {"AWS": "*"},
        {"AWS": "111122223333"},
        {"AWS": "arn:aws:iam::111122223333:root"},
        {"AWS": "arn:aws:iam::111122223333:user/alice"},
        {"AWS": "arn:aws:iam::alice-id:root"},
        {"AWS": "arn:aws:iam:::user/alice-id"},
        {"AWS": ["nobody", "AK2"]},
        {"AWS": "alice-id"},
        {"CanonicalUser": "alice-id"},
        {"AWS": "nobody", "CanonicalUser": ["x", "alice-id"]},
    ],
)
def test_a_requester_is_named_in_every_form(element):
    assert not principals.parse(element).isdisjoint(ALICE.names)


@pytest.mark.parametrize(
    "element",
    [
        {"AWS": "alice"},
        {"AWS": "arn:aws:iam::444455556666:user/alice"},
        {"AWS": "arn:aws:iam:::user/alice"},
        {"AWS": "arn:aws:iam::111122223333:user/bob"},
        {"CanonicalUser": "AK1"},
        {"CanonicalUser": "111122223333"},
    ],
)
def test_the_name_of_somebody_else_is_not_his(element):
    assert principals.parse(element).isdisjoint(ALICE.names)


@pytest.mark.parametrize(
    "element",
    [
        None,
        5,
        [],
        ["*"],
        {},
        "alice",
        {"AWS": []},
        {"AWS": [5]},
        {"AWS": ""},
        {"AWS": "AK*"},
        {"AWS": "arn:aws:iam::*:user/x"},
        {"AWS": "arn:aws:iam::1:user/*"},
        {"AWS": "arn:aws:iam::1:role/x"},
        {"AWS": "arn:aws:sts::1:assumed-role/x/y"},
        {"AWS": {"x": "y"}},
        {"Service": "s3.amazonaws.com"},
        {"Federated": "accounts.google.com"},
        {"CanonicalUser": "*"},
        {"AWS": "*", "Service": "s3.amazonaws.com"},
    ],
)
def test_a_principal_that_is_not_enforced_is_refused(element):
    with pytest.raises(S3Error, match="MalformedPolicy: Invalid principal"):
        principals.parse(element)


def test_whoever_has_not_signed_is_only_everyone():
    assert principals.names_of(None) == principals.parse("*")


def test_a_key_without_account_is_its_own_account():
    requester = principals.of(Identity("AK", "AK", role="admin"))
    assert requester.ids == {"AK"}
    assert requester.role == "admin"
    assert requester.arn == "arn:aws:iam::AK:user/AK"


def test_an_empty_id_is_nobodys_name_for_an_owner():
    assert "" not in Requester("").ids


@given(st.sampled_from(["AK1", "alice-id"]))
def test_a_name_of_a_policy_leads_back_to_the_account(word):
    for element in ({"AWS": word}, {"CanonicalUser": word}, {"AWS": f"arn:aws:iam::{word}:root"}):
        assert {principals.bare(name) for name in principals.parse(element)} == {word}
    assert principals.bare("arn:aws:iam:::user/alice-id") == "alice-id"


@pytest.mark.parametrize("id_", ["canonical:bob", "arn:aws:iam::bob:root"])
@pytest.mark.parametrize(
    "element", [{"CanonicalUser": "bob"}, {"AWS": "arn:aws:iam::bob:root"}, {"AWS": "bob"}]
)
def test_an_id_that_looks_like_a_name_of_somebody_else_is_not_taken_for_it(element, id_):
    assert principals.parse(element).isdisjoint(principals.Requester(id_, (id_,)).names)
