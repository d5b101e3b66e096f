"""The account file: ours and Versity's, whole or not at all, and two editors at once."""

import json
import multiprocessing
import os
import stat
import tarfile
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.sign import accountfile, keyfile
from s3filters.sign.accountfile import Contents, NotAccounts, ReadOnly
from s3filters.sign.accounts import Account
from tests.versity import DATA

ALICE = Account("a" * 64, "alice", "user", 1001, 1002, 7, 1700000000, "the first")
BOB = Account("bob", "bob", "admin")


def text(*accounts, **changes):
    return json.dumps({"version": 1, "accounts": list(accounts)} | changes).encode()


def user(**changes):
    return {"id": "x", "display_name": "x", "role": "user"} | changes


def users(**changes):
    fields = {"access": "al", "secret": "se-cret", "role": "user", "userID": 1, "groupID": 2}
    return json.dumps({"accessAccounts": {"al": fields | {"projectID": 3} | changes}}).encode()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "accounts.json"


def test_what_is_written_is_read(path):
    with accountfile.edited(str(path)) as accounts:
        accounts.update({a.id: a for a in (ALICE, BOB)})
    assert accountfile.read(str(path)) == Contents({ALICE.id: ALICE, BOB.id: BOB})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["accounts.json"]


@pytest.mark.parametrize("data", [None, b"", b" \n"])
def test_no_file_and_an_empty_one_hold_no_accounts(path, data):
    if data is not None:
        path.write_bytes(data)
    assert accountfile.read(str(path)) == Contents({})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", "not JSON"),
        (b"\xff{}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"9" * 5000, "not JSON"),
        (b"[]", "neither"),
        (b"{}", "neither"),
        (b'{"accessAccounts": []}', "neither"),
        (b'{"version": 1, "accounts": {}}', "neither"),
        (text(version=2), "not version 1"),
        (text(more=1), "not version 1"),
        (b'{"version": 1, "version": 1, "accounts": []}', "twice"),
        (text("x"), "account 1: not a JSON object"),
        (text({}), "account 1: display_name or id or role is missing"),
        (text({"id": "x", "display_name": "x"}), "account 1: role is missing"),
        (text(user(rolle="admin")), "account 1: there is no field 'rolle'"),
        (text(user(secret="geheim")), "account 1: there is no field 'secret'"),
        (text(user(), user(id="y", role="owner")), "account 2: role is none of"),
        (text(user(), user()), "account 2: its id stands twice"),
        (text(user(uid=-1)), "account 1: uid"),
        (
            b'{"version":1,"accounts":[{"id":"x","display_name":"x","role":"user","role":"admin"}]}',
            "twice",
        ),
    ],
)
def test_a_file_that_is_not_understood_whole_is_refused_whole(path, data, said):
    path.write_bytes(data)
    with pytest.raises(NotAccounts, match=said) as caught:
        accountfile.read(str(path))
    assert str(caught.value).startswith(f"accounts {path}: ")
    assert "geheim" not in str(caught.value)
    with pytest.raises(NotAccounts), accountfile.edited(str(path)):
        pass
    assert path.read_bytes() == data


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["version", "accounts", "accessAccounts", "id", "role", "access"])
        | st.text(), inner
    ),
))  # fmt: skip
def test_any_json_is_read_or_refused(values):
    try:
        contents = accountfile.parse(json.dumps(values).encode())
    except NotAccounts:
        return
    assert all(isinstance(account, Account) for account in contents.accounts.values())


def test_an_exception_while_editing_changes_nothing(path):
    path.write_bytes(text(user()))
    with pytest.raises(KeyError), accountfile.edited(str(path)) as accounts:
        accounts.clear()
        raise KeyError
    assert path.read_bytes() == text(user())


def test_an_edit_that_fails_leaves_no_file_that_was_not_there(path):
    with pytest.raises(KeyError), accountfile.edited(str(path)):
        raise KeyError
    assert os.listdir(path.parent) == []


def test_a_file_that_is_not_to_be_made_is_not(path):
    with pytest.raises(FileNotFoundError), accountfile.edited(str(path), make=False):
        pass
    assert os.listdir(path.parent) == []


def test_an_edit_that_changes_nothing_writes_nothing(path):
    path.write_bytes(text(user()))
    before = path.stat().st_ino
    with accountfile.edited(str(path)):
        pass
    assert path.stat().st_ino == before


def test_versitys_users_are_accounts_with_a_key_each(path):
    path.write_bytes(users())
    contents = accountfile.read(str(path))
    assert contents.versity
    assert contents.accounts == {"al": Account("al", "al", "user", 1, 2, 3)}
    assert [(k.access_key, k.secret_key, k.owner) for k in contents.keys] == [
        ("al", "se-cret", "al")
    ]


def test_users_of_the_tree_that_versity_wrote_are_read_as_they_are(path):
    with tarfile.open(DATA / "tree.tar.xz") as archive:
        path.write_bytes(archive.extractfile("iam/users.json").read())
    contents = accountfile.read(str(path))
    assert {a.id: a.role for a in contents.accounts.values()} == {
        "alice": "user",
        "bob": "userplus",
        "carol": "admin",
    }
    assert {(a.uid, a.gid, a.project) for a in contents.accounts.values()} == {(1001, 1002, 0)}
    assert contents.keys[0].secret_key == "alice-secret"


@pytest.mark.parametrize(
    "changes",
    [
        {"access": "other"},
        {"secret": ""},
        {"secret": "se-cret\x00"},
        {"secret": 5},
        {"role": "root"},
        {"role": None},
        {"userID": -1},
        {"groupID": "0"},
        {"projectID": None},
    ],
)
def test_a_user_of_versity_that_cannot_be_is_skipped_and_told_by_its_access_key(
    path, caplog, changes
):
    path.write_bytes(users(**changes))
    contents = accountfile.read(str(path))
    assert (contents.accounts, contents.keys) == ({}, ())
    accountfile.read(str(path))
    (record,) = caplog.records  # once for each state of the file
    assert "account 'al' is skipped" in record.getMessage()
    assert "se-cret" not in caplog.text


def test_versitys_file_is_never_written(path):
    path.write_bytes(users())
    with pytest.raises(ReadOnly, match=r"users\.json"), accountfile.edited(str(path)) as accounts:
        accounts.clear()
    assert path.read_bytes() == users()


def test_the_file_lies_beside_the_credentials_unless_it_is_named(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert accountfile.beside("/etc/s3/keys", "") == "/etc/s3/accounts.json"
    assert accountfile.beside("./keys", "") == "./accounts.json"
    assert accountfile.beside("keys", "") == "accounts.json"
    assert accountfile.beside("~/keys", "") == "/home/me/accounts.json"
    assert accountfile.beside("/etc/s3/keys", "/else/users.json") == "/else/users.json"
    assert accountfile.beside("", "") == ""


def test_accounts_that_are_kept_cannot_change_meanwhile(path):
    path.write_bytes(text(user()))
    editor = threading.Thread(target=clear, args=(str(path),))
    with accountfile.kept(str(path)) as contents:
        assert list(contents.accounts) == ["x"]
        editor.start()
        editor.join(0.2)
        assert editor.is_alive()
        assert path.read_bytes() == text(user())
    editor.join(10)
    assert accountfile.read(str(path)) == Contents({})


def test_no_file_is_kept_as_one_without_accounts(path):
    with accountfile.kept(str(path)) as contents:
        assert contents == Contents({})
    assert not path.exists()


def clear(path):
    with accountfile.edited(path) as accounts:
        accounts.clear()


def add_fifty(accounts, keys, name):
    for number in range(50):
        account = f"{name}{number}"
        with accountfile.edited(accounts) as known:
            known[account] = Account(account, account, "user")
        keyfile.generate(keys, account, account)


def test_two_processes_add_fifty_accounts_and_keys_each_and_none_is_lost(tmp_path, path):
    context = multiprocessing.get_context("fork")
    keys = tmp_path / "keys"
    adders = [context.Process(target=add_fifty, args=(str(path), str(keys), name)) for name in "ab"]
    for adder in adders:
        adder.start()
    seen = 0
    while any(adder.is_alive() for adder in adders):  # a reader takes no lock and sees no half
        now = len(keyfile.read(str(keys)))
        assert now >= seen
        assert len(accountfile.read(str(path)).accounts) >= now
        seen = now
    for adder in adders:
        adder.join()
    wanted = {f"{name}{number}" for name in "ab" for number in range(50)}
    assert accountfile.read(str(path)).accounts.keys() == wanted
    assert {entry.account for entry in keyfile.read(str(keys))} == wanted
    assert len(keyfile.read(str(keys))) == 100
    assert sorted(os.listdir(tmp_path)) == ["accounts.json", "keys"]
