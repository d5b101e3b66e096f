"""``s3filters account``: accounts and the keys that belong to them."""

import json
import os
import re

import pytest

from s3filters.commands import main

KEY, SECRET = "AKIATESTCREDENTIAL00", "a-secret-of-the-test"


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def run(folder, capsys):
    def run(*words, command="account"):
        code = main.main([command, words[0], "--credentials", str(folder / "keys"), *words[1:]])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def key(run):
    """A key that is an account of its own."""
    run("add", "--access-key", KEY, "--secret-key", SECRET, command="credential")
    return KEY


def accounts(folder):
    return json.loads((folder / "accounts.json").read_text())["accounts"]


def keys(folder):
    return [json.loads(line) for line in (folder / "keys").read_text().splitlines()]


def test_add_makes_an_account_with_a_new_id_and_prints_it(run, folder):
    code, out, err = run("add", "alice", "--uid", "1001", "--gid", "7", "--description", "first")
    (made,) = accounts(folder)
    assert (code, out) == (0, f"Added the account alice:\n  {made['id']}\n")
    assert err == f"Made the account file {folder / 'accounts.json'}\n"
    assert re.fullmatch("[0-9a-f]{64}", made["id"])
    assert run("add", "bob")[2] == ""  # it is there by now
    assert made.pop("created_at") > 0
    del made["id"]
    assert made == {
        "display_name": "alice",
        "role": "user",
        "uid": 1001,
        "gid": 7,
        "project": 0,
        "description": "first",
    }


@pytest.mark.parametrize("flag", ["--uid", "--gid"])
def test_a_user_id_that_is_no_number_is_told_in_plain_words(run, capsys, flag):
    with pytest.raises(SystemExit):
        run("add", "alice", flag, "x")
    assert f"argument {flag}: 'x': say a number, or none\n" in capsys.readouterr().err


def test_add_can_be_given_the_id_that_an_owner_has_on_disk_already(run, folder):
    code, out, _ = run("add", "alice", "--id", "al", "--role", "userplus", "--json")
    assert code == 0
    assert json.loads(out) == accounts(folder)[0]
    assert json.loads(out)["id"] == "al"


@pytest.mark.parametrize("words", [("alice",), ("bob", "--id", "alice"), ("al",)])
def test_an_id_or_a_name_is_one_accounts_alone(run, folder, words):
    run("add", "alice", "--id", "al")
    before = accounts(folder)
    code, _, err = run("add", *words)
    assert (code, err) == (1, "s3filters: there is an account alice (al)\n")
    assert accounts(folder) == before


def test_an_id_is_not_the_key_of_another_account(run, folder):
    run("add", "alice", "--id", "al")
    keys = ("--access-key", KEY, "--secret-key", SECRET, "--account", "alice")
    run("add", *keys, command="credential")
    before = accounts(folder)
    code, _, err = run("add", "bob", "--id", KEY)
    assert (code, err) == (1, f"s3filters: {KEY} is a key of the account al\n")
    assert accounts(folder) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("alice", "--id", "*"), "id is not"),
        (("alice", "--uid", "-1"), "uid is no whole number"),
        (("",), "display_name is not"),
    ],
)
def test_an_account_that_cannot_be_is_one_line_and_leaves_nothing(run, folder, words, said):
    code, _, err = run("add", *words)
    assert code == 1
    assert err.startswith(f"s3filters: {said}")
    assert os.listdir(folder) == []


def test_list_shows_every_account_and_those_that_only_a_key_is(run, key):
    run("add", "alice", "--id", "al")
    run("generate", "--account", "alice", command="credential")
    _, out, _ = run("list", "--json")
    alice, own = json.loads(out)
    assert (alice["id"], alice["role"], alice["stored"]) == ("al", "user", True)
    assert len(alice["keys"]) == 1
    assert (own["id"], own["role"], own["stored"], own["keys"]) == (key, "admin", False, [key])
    _, out, _ = run("list")
    head, first, second = out.splitlines()
    assert head.split() == ["NAME", "ROLE", "UID", "GID", "PROJECT", "KEYS", "ID"]
    assert first.split() == ["alice", "user", "-", "-", "0", "1", "al"]
    assert second.split() == [key, "admin", "-", "-", "0", "1", key]


def test_list_of_nothing_says_which_files_it_looked_for(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main.main(["account", "list"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("NAME ")
    assert err == (
        f"{folder}/credentials.jsonl is not there yet\n{folder}/accounts.json is not there yet\n"
    )
    assert main.main(["account", "list", "--json"]) == 0
    assert capsys.readouterr() == ("[]\n", "")


@pytest.mark.parametrize("words", [("list",), ("list", "--json"), ("show", "alice")])
def test_a_file_that_was_named_and_is_not_there_is_an_error(run, folder, words):
    refused = f"s3filters: credentials {folder}/keys: No such file or directory\n"
    assert run(*words) == (1, "", refused)
    run("add", "alice")
    assert run(*words)[0] == 0  # accounts need no keys
    absent = str(folder / "users.json")
    refused = f"s3filters: accounts {absent}: No such file or directory\n"
    assert run(*words, "--accounts", absent) == (1, "", refused)


def test_show_tells_of_an_account_and_its_keys_without_their_secrets(run):
    run("add", "alice", "--id", "al")
    _, made, _ = run("generate", "--account", "al", "--json", command="credential")
    made = json.loads(made)
    for words in (("alice",), ("al", "--json")):
        code, out, _ = run("show", *words)
        assert code == 0
        assert made["access_key"] in out
        assert made["secret_key"] not in out
    assert json.loads(out)["keys"] == [{k: made[k] for k in made if k != "secret_key"}]
    assert run("show", "bob") == (1, "", "s3filters: there is no account bob\n")


def test_set_changes_what_was_said_and_nothing_else(run, folder):
    run("add", "alice", "--id", "al", "--uid", "5", "--description", "x")
    (before,) = accounts(folder)
    code, out, _ = run("set", "alice", "--role", "admin", "--uid", "none", "--name", "alicia")
    assert (code, out) == (0, "Changed the account alicia (al)\n")
    del before["uid"]
    assert accounts(folder) == [before | {"role": "admin", "display_name": "alicia"}]
    run("set", "al", "--description", "")
    assert "description" not in accounts(folder)[0]


def test_set_refuses_a_name_of_another_and_nothing_to_set(run, folder):
    run("add", "alice", "--id", "al")
    run("add", "bob")
    assert run("set", "bob", "--name", "al")[0] == 1
    assert run("set", "bob")[0] == 1
    assert [account["display_name"] for account in accounts(folder)] == ["alice", "bob"]


def test_set_of_a_key_makes_its_account_and_ties_the_key_to_it(run, folder, key):
    assert run("set", key, "--role", "user")[0] == 0
    (made,) = accounts(folder)
    assert (made["id"], made["display_name"], made["role"]) == (key, key, "user")
    # Without the account file the key may not sign, rather than do everything again.
    assert [line["account"] for line in keys(folder)] == [key]


def test_delete_takes_keys_with_it_only_when_told(run, folder, key):
    run("add", "alice", "--id", "al")
    run("generate", "--account", "al", command="credential")
    assert run("delete", "alice") == (
        1,
        "",
        "s3filters: alice has 1 key(s): say --keys to delete them too\n",
    )
    assert (len(accounts(folder)), len(keys(folder))) == (1, 2)
    assert run("delete", "alice", "--keys")[0] == 0
    assert accounts(folder) == []
    assert [line["access_key"] for line in keys(folder)] == [key]


def test_the_key_that_gave_an_account_its_id_does_not_outlive_it(run, folder, key):
    run("add", "boss", "--id", key)
    assert run("delete", "boss")[0] == 1
    assert run("delete", "boss", "--keys")[0] == 0
    assert keys(folder) == []


@pytest.mark.parametrize("words", [("delete", "x"), ("set", "x", "--role", "user")])
def test_what_is_not_there_is_one_line_and_makes_no_file(run, folder, words):
    code, _, err = run(*words)
    assert code == 1
    assert err.count("\n") == 1
    assert os.listdir(folder) == []


def test_a_broken_account_file_is_one_line_and_stays(run, folder):
    (folder / "accounts.json").write_text("{")
    for words in (("add", "x"), ("list",), ("show", "x"), ("delete", "x")):
        code, _, err = run(*words)
        assert code == 2
        assert err.startswith(f"s3filters: accounts {folder}/accounts.json: not JSON")
        assert err.count("\n") == 1
    assert (folder / "accounts.json").read_text() == "{"


def test_versitys_users_are_shown_and_never_changed(run, folder):
    users = {"v": {"access": "v", "secret": "theirs", "role": "user", "userID": 1}}
    (folder / "users.json").write_text(json.dumps({"accessAccounts": users}))
    flag = ("--accounts", str(folder / "users.json"))
    code, out, _ = run("show", "v", *flag)
    assert code == 0
    assert "theirs" not in out
    for words in (("add", "x"), ("set", "v", "--role", "admin"), ("delete", "v", "--keys")):
        code, _, err = run(*words, *flag)
        assert code == 2
        assert "users.json, which is only read" in err
    assert run("generate", "--account", "v", *flag, command="credential")[0] == 0
    assert [line["account"] for line in keys(folder)] == ["v"]
    assert json.loads((folder / "users.json").read_text()) == {"accessAccounts": users}


def test_the_files_are_those_of_the_ini(folder, capsys):
    ini = folder / "my.ini"
    ini.write_text(
        "[DEFAULT]\ncredentials = %(here)s/k\naccounts = %(here)s/a\n"
        "[pipeline:main]\npipeline = fs\n[app:fs]\nuse = egg:s3filters#fs\n"
    )
    assert main.main(["account", "add", "alice", "--conf", str(ini)]) == 0
    words = ["credential", "generate", "--account", "alice", "--conf", str(ini)]
    assert main.main(words) == 0
    assert sorted(os.listdir(folder)) == ["a", "k", "my.ini"]


@pytest.mark.parametrize("user", [0, 1000])
def test_only_root_gives_a_new_account_file_to_the_owner_of_the_keys(
    run, folder, key, monkeypatch, user
):
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(os, "chown", lambda *what: given.append(what))
    run("add", "alice")
    run("add", "bob")
    owner = (folder / "keys").stat()
    wanted = [(str(folder / "accounts.json"), owner.st_uid, owner.st_gid)]
    assert given == ([] if user else wanted)


@pytest.mark.parametrize("action", ["add", "list", "show", "set", "delete"])
def test_every_action_has_its_help(action, capsys):
    with pytest.raises(SystemExit) as caught:
        main.main(["account", action, "--help"])
    assert caught.value.code == 0
    assert "--conf INI" in capsys.readouterr().out
