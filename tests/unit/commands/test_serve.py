"""``s3filters serve``: what it makes, what it refuses, and what it hands to the server."""

import json
import socket
import stat

import pytest

from s3filters.backends.fs import FsBackend
from s3filters.commands import main, serve
from tests.unit.commands import echo


@pytest.fixture
def served(monkeypatch, tmp_path):
    """Serve in a folder of its own, with a server that starts and stops at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serve.logs, "start", lambda level: None)
    calls = []

    def stand_in(load_app, options, *, on_bound, on_ready):
        calls.append((load_app, options))
        on_bound()
        on_ready([f"http://{options.listen[0]}"])
        return 0

    monkeypatch.setattr(serve.runner, "serve", stand_in)
    return calls


def test_a_first_start_makes_root_and_keys_and_shows_them_once(served, tmp_path, capsys):
    assert main.main(["serve"]) == 0
    path = tmp_path / "credentials.jsonl"
    entry = json.loads(path.read_text())
    first = capsys.readouterr().out
    assert (tmp_path / "data").is_dir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert entry["access_key"] in first
    assert entry["secret_key"] in first
    assert main.main(["serve"]) == 0
    second = capsys.readouterr().out
    assert entry["access_key"] in second
    assert entry["secret_key"] not in second
    assert path.read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("access_name", "secret_name"),
    [("S3_ACCESS_KEY", "S3_SECRET_KEY"), ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")],
)
def test_keys_of_the_environment_are_used_and_none_are_made(
    served, tmp_path, monkeypatch, capsys, access_name, secret_name
):
    monkeypatch.setenv(access_name, "AKIAENVIRONMENT00000")
    monkeypatch.setenv(secret_name, "secret-of-the-environment")
    assert main.main(["serve"]) == 0
    out = capsys.readouterr().out
    assert "AKIAENVIRONMENT00000" in out
    assert "secret-of-the-environment" not in out
    assert not (tmp_path / "credentials.jsonl").exists()


def test_a_pipeline_without_sigauth_needs_no_keys(served, tmp_path):
    path = tmp_path / "open.ini"
    path.write_text(
        "[pipeline:main]\npipeline = s3api fs\n[filter:s3api]\nuse = egg:s3filters#s3api\n"
        "[app:fs]\nuse = egg:s3filters#fs\n[server:main]\nuse = egg:s3filters#eventlet\n"
    )
    assert main.main(["serve", "--conf", str(path)]) == 0
    assert not (tmp_path / "credentials.jsonl").exists()


def test_server_flags_stand_above_the_ini(served, tmp_path):
    path = tmp_path / "my.ini"
    text = serve.Configuration(None, {}).path.read_text()
    path.write_text(
        text.replace("#workers = 0", "workers = 3").replace("#threads = 24", "threads=5")
    )
    assert main.main(["serve", "--conf", str(path), "--workers", "2", "--listen", "[::1]:0"]) == 0
    (_, options) = served[0]
    assert (options.workers, options.threads, options.listen) == (2, 5, ("[::1]:0",))


def test_paths_of_flags_are_absolute_since_a_reload_may_happen_elsewhere(
    served, tmp_path, monkeypatch
):
    (tmp_path / "tree" / "bucket").mkdir(parents=True)
    assert main.main(["serve", "--root", "tree"]) == 0
    monkeypatch.chdir("/")
    load_app, _ = served[0]
    load_app()
    assert not (tmp_path / "tree" / "tree").exists()


def test_an_ini_that_breaks_before_a_reload_is_told_in_one_line(served, tmp_path):
    path = tmp_path / "my.ini"
    path.write_text(serve.Configuration(None, {}).path.read_text())
    assert main.main(["serve", "--conf", str(path)]) == 0
    path.write_text(path.read_text().replace("#path = /healthz", "paht = /x"))
    load_app, _ = served[0]
    with pytest.raises(serve.ini_options.OptionError, match="no option paht"):
        load_app()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--conf", "none.ini"], 2, "none.ini: No such file"),
        (["--root", "file"], 1, "root {here}/file: this is not a folder"),
        (["--root", "file/below"], 1, "root {here}/file/below: Not a directory"),
        (["--root", "r", "--credentials", "r/b/keys"], 2, "in a bucket of {here}/r"),
        (["--credentials", "file/keys"], 1, "credentials {here}/file/keys: Not a directory"),
        (["--credentials", "none/keys"], 2, "keys: there is no folder {here}/none"),
        (["--credentials", "other"], 2, "{here}/other: not one of its lines is a credential"),
        (["--access-log", "file/log"], 2, "[DEFAULT] access_log"),
    ],
)
def test_what_cannot_be_is_one_line_and_an_exit_code(served, tmp_path, capsys, words, code, said):
    (tmp_path / "file").touch()
    (tmp_path / "other").write_text("a line\n")
    assert main.main(["serve", *words]) == code
    err = capsys.readouterr().err
    assert said.format(here=tmp_path) in err
    assert err.startswith("s3filters: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--key", "k.pem"], "key is set"), (["--listen", ":70000"], "the last port is 65535")],
)
def test_what_is_wrong_for_the_server_is_told_before_anything_is_made(
    served, tmp_path, capsys, words, said
):
    try:
        code = main.main(["serve", *words])
    except SystemExit as error:  # argparse's way
        code = error.code
    assert code == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert served == []


def test_a_credentials_file_of_something_else_stays_as_it_is_and_no_root_is_made(served, tmp_path):
    path = tmp_path / "notes"
    path.write_text("a line\n")
    path.chmod(0o644)
    assert main.main(["serve", "--credentials", "notes", "--root", "r"]) == 2
    assert path.read_text() == "a line\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert not (tmp_path / "r").exists()


def test_credentials_may_stand_beside_a_root_that_is_made(served, tmp_path):
    assert main.main(["serve", "--root", "l/root", "--credentials", "l/keys"]) == 0
    assert (tmp_path / "l" / "keys").exists()


def test_an_address_in_use_is_one_line_and_exit_code_1_and_nothing_is_made(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serve.logs, "start", lambda level: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main.main(["serve", "--root", "a/b", "--listen", address]) == 1
    refused = f"s3filters: cannot listen on {address}: Address already in use\n"
    assert capsys.readouterr() == ("", refused)
    assert list(tmp_path.iterdir()) == []


def test_a_certificate_that_cannot_be_used_is_told_before_anything_is_made(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serve.logs, "start", lambda level: None)
    assert main.main(["serve", "--certificate", "none.pem", "--listen", "127.0.0.1:0"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"s3filters: cannot use the certificate {tmp_path}/none.pem: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("root", ["data", "a/b/c"])
def test_a_root_that_cannot_keep_objects_is_refused_before_anything_is_made(
    served, tmp_path, monkeypatch, capsys, root
):
    def refuse(*_args, **_named):
        raise ValueError("a file system without user extended attributes")

    monkeypatch.setattr(FsBackend, "at", refuse)
    assert main.main(["serve", "--root", root]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "without user extended attributes" in err
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_was_there_stays_when_it_is_refused(served, tmp_path):
    (tmp_path / "data").mkdir()
    ini = tmp_path / "my.ini"
    ini.write_text(serve.Configuration(None, {}).path.read_text().replace("#path =", "paht ="))
    assert main.main(["serve", "--conf", str(ini)]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "my.ini"]


FOREIGN = """
[DEFAULT]
root = %(here)s/root
[pipeline:main]
pipeline = s3api fs
[filter:s3api]
use = egg:s3filters#s3api
[app:fs]
use = egg:s3filters#fs
[server:main]
paste.server_factory = tests.unit.commands.echo:server_factory
greeting = hello
"""


def test_another_server_of_the_ini_is_run_as_it_is(served, tmp_path):
    path = tmp_path / "foreign.ini"
    path.write_text(FOREIGN)
    assert main.main(["serve", "--conf", str(path)]) == 0
    assert served == []
    assert echo.served == [("hello", "S3api")]


def test_flags_of_our_server_are_refused_for_another_one(served, tmp_path, capsys):
    path = tmp_path / "foreign.ini"
    path.write_text(FOREIGN)
    assert main.main(["serve", "--conf", str(path), "--workers", "2"]) == 2
    assert "--workers is for our own server" in capsys.readouterr().err


def test_an_account_file_in_a_bucket_is_refused(served, tmp_path, capsys):
    (tmp_path / "data" / "bucket").mkdir(parents=True)
    assert main.main(["serve", "--accounts", "data/bucket/users.json"]) == 2
    assert "accounts " in capsys.readouterr().err
    assert not served
    assert not (tmp_path / "credentials.jsonl").exists()


def test_an_account_file_that_cannot_be_used_stops_the_start_before_keys_are_made(
    served, tmp_path, capsys
):
    (tmp_path / "accounts.json").write_text("{")
    assert main.main(["serve"]) == 2
    assert capsys.readouterr().err.startswith("s3filters: accounts ./accounts.json: not JSON")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["accounts.json"]


def test_no_pair_is_made_in_place_of_those_that_were_taken_away(served, tmp_path, capsys):
    assert main.main(["serve"]) == 0
    path = tmp_path / "credentials.jsonl"
    path.write_text(path.read_text().replace("true", "false"))
    before = path.read_bytes()
    capsys.readouterr()
    assert main.main(["serve"]) == 0
    assert "No key of ./credentials.jsonl may sign" in capsys.readouterr().out
    assert path.read_bytes() == before


def test_the_line_to_try_has_a_key_of_an_admin(served, tmp_path, capsys):
    users = {
        name: {"access": name, "secret": "s", "role": role}
        for name, role in (("someuser", "user"), ("someadmin", "admin"))
    }
    (tmp_path / "users.json").write_text(json.dumps({"accessAccounts": users}))
    assert main.main(["serve", "--accounts", "users.json"]) == 0
    out = capsys.readouterr().out
    assert "AWS_ACCESS_KEY_ID=someadmin " in out
    assert f"SECRET is in {tmp_path}/users.json" in out
    assert not (tmp_path / "credentials.jsonl").exists()
