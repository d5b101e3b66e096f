"""``s3filters credential``: Curvine's words over Curvine's file."""

import json
import os
import stat
import time

import pytest

from s3filters.commands import main
from s3filters.commands.moments import shown
from s3filters.sign import keyfile

ACCESS, SECRET = "AKIATESTCREDENTIAL00", "a-secret-of-the-test"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "credentials.jsonl"


@pytest.fixture
def run(path, capsys):
    def run(*words):
        code = main.main(["credential", words[0], "--credentials", str(path), *words[1:]])
        return code, *capsys.readouterr()

    return run


def test_add_keeps_a_pair_in_a_file_for_its_owner_alone(run, path):
    code, out, _ = run("add", "--access-key", ACCESS, "--secret-key", SECRET, "--description", "x")
    assert (code, out) == (
        0,
        f"Adding new credential...\n✓ Successfully added credential for access key: {ACCESS}\n",
    )
    entry = json.loads(path.read_text())
    assert list(entry) == ["access_key", "secret_key", "created_at", "enabled", "description"]
    assert (entry["access_key"], entry["secret_key"]) == (ACCESS, SECRET)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("access", "secret", "said"),
    [
        ("short", SECRET, "Invalid access key length"),
        (ACCESS, "short", "Invalid secret key length"),
    ],
)
def test_add_refuses_keys_of_a_wrong_length(run, path, access, secret, said):
    code, _, err = run("add", "--access-key", access, "--secret-key", secret)
    assert code == 1
    assert err.startswith(f"✗ {said}")
    assert not path.exists()


@pytest.mark.parametrize(
    "words", [("add", "--access-key", ACCESS, "--secret-key", SECRET), ("generate",)]
)
def test_a_file_of_something_else_is_refused_and_stays_as_it_is(run, path, words):
    path.write_text("[default]\nregion = x\n")
    path.chmod(0o640)
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"s3filters: credentials {path}: not one of its lines is a credential")
    assert err.count("\n") == 1
    assert path.read_text() == "[default]\nregion = x\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_folder_that_is_not_there_is_told_and_not_made(tmp_path, capsys):
    path = tmp_path / "fodler" / "credentials.jsonl"
    assert main.main(["credential", "generate", "--credentials", str(path)]) == 2
    assert f"there is no folder {path.parent}" in capsys.readouterr().err
    assert not path.parent.exists()


def test_generate_shows_the_pair_that_it_keeps(run, path):
    code, out, _ = run("generate")
    entry = json.loads(path.read_text())
    assert code == 0
    assert f"  Access Key: {entry['access_key']}\n  Secret Key: {entry['secret_key']}\n\n" in out


def test_list_of_nothing_says_so_and_which_file_that_is(run, path):
    run("generate")
    (entry,) = lines(path)
    run("delete", entry["access_key"])
    assert run("list") == (
        0,
        "Listing all credentials...\nNo credentials found.\n",
        f"{path} holds none\n{path.parent}/accounts.json is not there yet\n",
    )


def test_list_before_there_is_a_file_names_the_one_that_it_looked_for(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main.main(["credential", "list"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("No credentials found.\n")
    assert err.startswith(f"{tmp_path}/credentials.jsonl is not there yet\n")
    assert main.main(["credential", "list", "--json"]) == 0
    assert capsys.readouterr() == ("[]\n", "")


@pytest.mark.parametrize(
    "words", [("list",), ("list", "--json"), ("enable", "k"), ("delete", "k"), ("rotate", "k")]
)
def test_a_file_that_was_named_and_is_not_there_is_an_error(run, path, words):
    refused = f"s3filters: credentials {path}: No such file or directory\n"
    assert run(*words) == (1, "", refused)


def test_an_account_file_that_was_named_and_is_not_there_is_an_error_too(run, tmp_path):
    run("generate")
    absent = str(tmp_path / "users.json")
    refused = f"s3filters: accounts {absent}: No such file or directory\n"
    assert run("list", "--accounts", absent) == (1, "", refused)


def test_list_hides_secrets_unless_asked(run):
    run("add", "--access-key", ACCESS, "--secret-key", SECRET, "--description", "who")
    _, hidden, _ = run("list")
    _, shown, _ = run("list", "--show-secrets")
    assert SECRET not in hidden
    assert "[HIDDEN - use --show-secrets to reveal]" in hidden
    assert f"Found 1 credential(s):\n{'-' * 80}\nCredential #1\n  Access Key: {ACCESS}" in shown
    assert f"  Secret Key: {SECRET}\n" in shown
    assert "  Enabled: Yes\n  Description: who\n" in shown


def test_a_file_that_cannot_be_made_is_one_line(run, path):
    path.mkdir()
    code, _, err = run("generate")
    assert code == 1
    assert err.startswith(f"s3filters: credentials {path}: ")
    assert err.count("\n") == 1


def lines(path):
    return [json.loads(one) for one in path.read_text().splitlines()]


@pytest.fixture
def key(run):
    run("add", "--access-key", ACCESS, "--secret-key", SECRET)
    return ACCESS


@pytest.fixture
def alice(path, capsys):
    """The id of an account."""
    main.main(["account", "add", "alice", "--id", "al", "--credentials", str(path)])
    capsys.readouterr()
    return "al"


def test_a_pair_is_given_to_the_account_that_was_named(run, path, alice):
    for words in (("add", "--access-key", ACCESS, "--secret-key", SECRET), ("generate",)):
        code, out, _ = run(*words, "--account", "alice", "--expires", "90d")
        assert code == 0
        assert out.endswith("It belongs to alice (al), role user.\n")
    assert [one["account"] for one in lines(path)] == ["al", "al"]
    assert all(89 * 86400 < one["expires_at"] - time.time() <= 90 * 86400 for one in lines(path))


def test_a_pair_without_an_account_is_said_to_be_an_administrators(run):
    for words in (("add", "--access-key", ACCESS, "--secret-key", SECRET), ("generate",)):
        err = run(*words)[2]
        assert err == "It has no account, so it may do everything; see: s3filters account --help\n"


def test_a_key_is_not_the_id_of_another_account(run, path, alice, capsys):
    main.main(["account", "add", "bob", "--id", ACCESS, "--credentials", str(path)])
    capsys.readouterr()
    words = ("add", "--access-key", ACCESS, "--secret-key", SECRET)
    code, _, err = run(*words, "--account", "alice")
    assert (code, err) == (1, f"s3filters: {ACCESS} is the id of the account bob\n")
    assert not path.exists()
    code, out, err = run(*words, "--account", "bob")
    assert (code, err) == (0, "")
    assert out.endswith(f"It belongs to bob ({ACCESS}), role user.\n")


def test_a_pair_whose_key_is_the_id_of_an_account_belongs_to_it(run, path, capsys):
    main.main(["account", "add", "bob", "--id", ACCESS, "--credentials", str(path)])
    capsys.readouterr()
    code, out, err = run("add", "--access-key", ACCESS, "--secret-key", SECRET)
    assert (code, err) == (0, "")
    assert out.endswith(f"It belongs to bob ({ACCESS}), role user.\n")
    assert [one["account"] for one in lines(path)] == [ACCESS]


@pytest.mark.parametrize("name", ["alicia", ""])
def test_a_pair_for_an_account_that_is_not_there_is_not_made(run, path, alice, name):
    code, _, err = run("generate", "--account", name)
    assert (code, err) == (1, f"s3filters: there is no account {name}\n")
    assert not path.exists()


def test_without_account_features_the_file_is_curvines(run, path, key):
    run("generate")
    run("disable", key)
    run("enable", key)
    assert all(
        set(one) == {"access_key", "secret_key", "created_at", "enabled"} for one in lines(path)
    )
    assert os.listdir(path.parent) == [path.name]


def test_a_disabled_key_may_not_sign_until_it_is_enabled(run, path, key):
    assert run("disable", key) == (0, f"✓ Disabled {key}\n", "")
    assert not keyfile.read(str(path))[0].usable(0)
    assert run("enable", key) == (0, f"✓ Enabled {key}\n", "")
    assert keyfile.read(str(path))[0].usable(0)


def test_enabling_a_key_that_has_ended_asks_for_another_end(run, path, key):
    keyfile.alter(str(path), key, {"expires_at": 1})
    code, _, err = run("enable", key)
    assert code == 1
    assert "expired 1970-01-01 00:00:01 UTC: say --expires too" in err
    assert run("enable", key, "--expires", "never")[0] == 0
    assert "expires_at" not in lines(path)[0]


def test_delete_takes_a_pair_out(run, path, key):
    run("generate")
    assert run("delete", key) == (0, f"✓ Deleted {key}\n", "")
    assert [one["access_key"] for one in lines(path)] != [key]
    assert run("delete", key) == (1, "", f"s3filters: there is no access key {key}\n")


@pytest.mark.parametrize("action", ["enable", "disable", "delete", "rotate"])
def test_a_key_that_is_not_there_is_one_line_and_makes_no_file(run, path, action):
    code, _, err = run(action, "nobody")
    assert code == 1
    assert err.count("\n") == 1
    assert os.listdir(path.parent) == []
    run("generate")
    before = path.read_bytes()
    assert run(action, "nobody")[2] == "s3filters: there is no access key nobody\n"
    assert path.read_bytes() == before


def test_rotate_makes_another_pair_for_the_account_and_ends_the_old_one(run, path, alice):
    run("add", "--access-key", ACCESS, "--secret-key", SECRET, "--account", "al")
    code, out, _ = run("rotate", ACCESS, "--grace", "2h", "--json")
    assert code == 0
    made = json.loads(out)
    old, new = lines(path)
    assert (new["access_key"], new["secret_key"]) == (made["access_key"], made["secret_key"])
    assert (old["account"], new["account"]) == ("al", "al")
    assert 7100 < old["expires_at"] - time.time() <= 7200
    assert "expires_at" not in new


def test_rotating_a_key_without_an_account_stores_the_one_that_it_is(run, path, key):
    code, out, _ = run("rotate", key, "--grace", "0", "--expires", "2999-01-01")
    assert code == 0
    assert "The secret key will not be shown again." in out
    old, new = keyfile.read(str(path))
    assert (old.account, new.account, new.expires_at) == (key, key, 32472144000)
    assert not old.usable(time.time())
    (account,) = json.loads((path.parent / "accounts.json").read_text())["accounts"]
    assert (account["id"], account["role"]) == (key, "admin")


def test_rotate_tells_when_the_old_key_ends_which_may_be_before_the_grace_is_over(run, path, key):
    soon = int(time.time()) + 600
    keyfile.alter(str(path), key, {"expires_at": soon})
    out = run("rotate", key, "--grace", "7d")[1]
    assert out.endswith(f"The old key may sign until {shown(soon)}.\n")


def test_a_disabled_key_is_not_rotated(run, path, key):
    run("disable", key)
    before = path.read_bytes()
    code, out, err = run("rotate", key)
    assert (code, out) == (1, "")
    assert "may not sign: enable it first" in err
    assert path.read_bytes() == before


def test_list_tells_of_accounts_and_ends_and_can_be_one_accounts(run, path, key, alice):
    run("generate", "--account", "al")
    keyfile.alter(str(path), key, {"expires_at": 1})
    path.write_text(path.read_text() + keyfile.Entry("LOST", "s", account="gone").line())
    _, out, _ = run("list")
    assert "  Expires At: 1970-01-01 00:00:01 UTC (expired)\n" in out
    assert "  Account: alice (al), role user\n" in out
    assert "  Account: gone, which is not there: it may not sign\n" in out
    _, out, _ = run("list", "--account", "alice", "--json")
    (row,) = json.loads(out)
    assert (row["account"], row["enabled"], row["usable"]) == ("al", True, True)
    assert "secret_key" not in row
    _, out, _ = run("list", "--json", "--show-secrets")
    assert json.loads(out)[0]["secret_key"] == SECRET


def test_list_shows_what_no_terminal_could(run, path):
    path.write_text(
        json.dumps(
            {
                "access_key": "A",
                "secret_key": "S",
                "created_at": 10**30,
                "description": "\ud800\x1b",
            }
        )
    )
    code, out, _ = run("list")
    assert code == 0
    assert f"  Created At: {10**30} seconds after 1970\n" in out
    assert "  Description: '\\ud800\\x1b'\n" in out


@pytest.mark.parametrize("words", [("--expires", "2020-01-01"), ("--expires", "soon")])
def test_an_end_that_is_past_or_no_time_is_refused(run, path, words, capsys):
    with pytest.raises(SystemExit) as caught:
        run("generate", *words)
    assert caught.value.code == 2
    assert not path.exists()
