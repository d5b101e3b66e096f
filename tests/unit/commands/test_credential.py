"""``s3filters credential``: Curvine's words over Curvine's file."""

import json
import stat

import pytest

from s3filters.commands import main

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


def test_list_of_nothing_says_so(run):
    assert run("list") == (0, "Listing all credentials...\nNo credentials found.\n", "")


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
