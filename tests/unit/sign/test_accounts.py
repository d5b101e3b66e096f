"""Accounts: what one can be, whom its keys stand for, and how it is found."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3.call import Identity
from s3filters.sign import accounts
from s3filters.sign.accounts import Account, AccountError


def test_a_key_stands_for_its_account():
    account = Account("id", "alice", "userplus", 1001, 1002, 7, 5, "the first")
    assert account.identity("AK") == Identity("AK", "id", "alice", "userplus", 1001, 1002, 7)


def test_a_key_without_an_account_may_do_everything_under_its_own_name():
    assert accounts.own("AK") == Identity("AK", "AK", "", "admin", None, None, 0)


def test_an_identity_that_says_nothing_else_may_do_nothing_by_itself():
    assert Identity("AK", "AK").role == "user"


def test_new_ids_have_the_form_of_aws_and_differ():
    made = {accounts.new_id() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in made)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": "*"},
        {"id": "a?"},
        {"id": 'a"b'},
        {"id": "a b"},
        {"id": "a/b"},
        {"id": "a\nb"},
        {"id": "a" * 129},
        {"id": None},
        {"id": "\ud800"},
        {"id": "65a011a29cdf8ec533ec3d1ccaae921c"},  # whoever has not signed
        {"display_name": ""},
        {"display_name": "  "},
        {"display_name": "a\x1b[2J"},
        {"display_name": "a" * 129},
        {"display_name": 5},
        {"role": "root"},
        {"role": ""},
        {"role": None},
        {"role": ["admin"]},
        {"uid": -1},
        {"uid": 2**32 - 1},  # chown(2) reads it as: leave it
        {"gid": True},
        {"gid": "0"},
        {"gid": 1.0},
        {"project": None},
        {"project": -1},
        {"project": 2**64},
        {"created_at": 10**15},
        {"description": "a\nb"},
        {"description": 5},
    ],
)
def test_an_account_that_cannot_be_is_refused(changes):
    with pytest.raises(AccountError):
        Account(**{"id": "id", "display_name": "name", "role": "user"} | changes)


@given(st.text())
def test_no_id_can_stand_for_several_accounts_or_leave_its_place(text):
    try:
        Account(text, "name", "user")
    except AccountError:
        return
    assert text.isprintable()
    assert not set(text) & set(' "*?,/')


def test_an_account_is_found_by_its_id_before_any_name():
    one, two = Account("a", "b", "user"), Account("b", "c", "user")
    known = {account.id: account for account in (one, two)}
    assert accounts.named(known, "b") is two
    assert accounts.named(known, "c") is two
    with pytest.raises(AccountError, match="there is no account d"):
        accounts.named(known, "d")


def test_a_name_of_several_accounts_finds_none():
    known = {one: Account(one, "same", "user") for one in "ab"}
    with pytest.raises(AccountError, match="several"):
        accounts.named(known, "same")
