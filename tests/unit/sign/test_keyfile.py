"""The credential file: what is read, what is written, and by whom at the same time."""

import json
import os
import re
import stat
import threading

import pytest

from s3filters.sign import keyfile, replacing

ACCESS, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def line(**changes):
    values = {"access_key": "AKIA", "secret_key": "secret", "created_at": 1, "enabled": True}
    return json.dumps(values | changes)


def test_lines_of_curvines_gateway_are_read():
    text = (
        '{"access_key":"A","secret_key":"S","created_at":171900,"enabled":true,"description":"d"}'
    )
    assert keyfile.parse(text) == keyfile.Entry("A", "S", 171900, True, "d")
    assert keyfile.parse(text).line() == text + "\n"
    assert keyfile.parse('{"access_key":"A","secret_key":"S"}') == keyfile.Entry("A", "S", 0, True)
    assert keyfile.parse(line(description=None, owner="x")).description is None


@pytest.mark.parametrize(
    "text",
    [
        "not-json-secret",
        '["secret"]',
        line(secret_key=""),
        line(access_key=None),
        line(enabled="secret"),
        line(created_at="secret"),
        line(secret_key="\ud800secret"),
        line(access_key="secret\n"),
        line(account=""),
        line(account=5),
        line(account=None),
        line(expires_at="secret"),
        line(expires_at=1.5),
        line(expires_at=-1),
        line(expires_at=10**15),
        '{"access_key": "secret"}',
        "[" * 100_000,
        "\udcffsecret",
    ],
)
def test_a_bad_line_is_warned_about_by_its_number_and_skipped(tmp_path, caplog, text):
    path = tmp_path / "keys"
    path.write_bytes(
        f"{line()}\n\n  \n{text}\n{line(access_key='B')}".encode(errors="surrogateescape")
    )
    assert [entry.access_key for entry in keyfile.read(str(path))] == ["AKIA", "B"]
    (record,) = caplog.records
    assert f"{path} line 4 is skipped" in record.getMessage()
    assert "secret-" not in caplog.text
    assert "not-json" not in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"access_key":"A","secret_key":"S","account":null}', "account is null"),
        ('{"access_key":"A","secret_key":"S","account":"al","account":"bo"}', "account is twice"),
        ('{"access_key":"A","secret_key":"S","enabled":false,"enabled":true}', "enabled is twice"),
        (
            '{"access_key":"A","secret_key":"S","acc\\u006funt":"al","account":"bo"}',
            "account is tw",
        ),
        ('{"access_key":"A","secret_key":"S","x":1,"x":2}', "a name is twice in it"),
        ('{"access_key":"A","secret_key":"S","x":{"y":1,"y":2}}', "a name is twice in it"),
    ],
)
def test_a_line_that_can_be_read_in_two_ways_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        keyfile.parse(text)


def test_a_bad_line_is_told_once_for_each_state_of_the_file(tmp_path, caplog):
    path = tmp_path / "keys"
    path.write_text(f"{line()}\nbad\n")
    keyfile.read(str(path))
    keyfile.read(str(path))
    assert len(caplog.records) == 1
    path.write_text(f"{line()}\nstill bad\n")
    keyfile.read(str(path))
    assert len(caplog.records) == 2


def test_nothing_is_added_to_a_file_of_something_else(tmp_path):
    path = tmp_path / "shell.rc"
    path.write_text("alias ll='ls -l'\n\nset -o vi\n")
    path.chmod(0o644)
    for change in (
        lambda: keyfile.add(str(path), ACCESS, SECRET),
        lambda: keyfile.check(str(path)),
    ):
        with pytest.raises(keyfile.NotCredentials, match="not one of its lines"):
            change()
    assert path.read_text() == "alias ll='ls -l'\n\nset -o vi\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["shell.rc"]


def test_a_pair_is_added_to_a_file_of_blank_lines(tmp_path):
    path = tmp_path / "keys"
    path.write_text("\n \n")
    keyfile.add(str(path), ACCESS, SECRET)
    assert [entry.access_key for entry in keyfile.read(str(path))] == [ACCESS]


def test_a_file_that_is_not_there_holds_no_keys(tmp_path):
    assert keyfile.read(str(tmp_path / "none")) == []


def test_a_secret_is_not_shown_by_repr():
    assert "secret" not in repr(keyfile.parse(line())).replace("secret_key", "")


def test_a_key_is_added_behind_what_is_there(tmp_path):
    path = tmp_path / "keys"
    path.write_bytes(b"# somebody's note \xff\n" + line().encode())  # without a newline at its end
    keyfile.add(str(path), ACCESS, SECRET, "laptop")
    first, second, third = path.read_bytes().splitlines()
    assert first == b"# somebody's note \xff"
    assert second == line().encode()
    values = json.loads(third)
    assert list(values) == ["access_key", "secret_key", "created_at", "enabled", "description"]
    assert isinstance(values["created_at"], int)


def test_a_file_is_made_for_its_owner_alone(tmp_path):
    path = tmp_path / "keys"
    old = os.umask(0)
    try:
        keyfile.add(str(path), ACCESS, SECRET)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "description" not in path.read_text()
    assert os.listdir(path.parent) == ["keys"]


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path):
    path = tmp_path / "keys"
    path.write_text(line())
    path.chmod(0o644)
    keyfile.add(str(path), ACCESS, SECRET)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to("keys")
    keyfile.add(str(tmp_path / "link"), ACCESS, SECRET)
    assert (tmp_path / "link").is_symlink()
    assert len(keyfile.read(str(tmp_path / "keys"))) == 1


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    keyfile.add("~/keys", ACCESS, SECRET)
    assert keyfile.read("~/keys")[0].access_key == ACCESS


@pytest.mark.parametrize(
    "access", ["AKIATEST", "A" * 15, "A" * 33, "A/" * 8, "A," * 8, "A " * 8, "\xe4" * 16]
)
def test_an_access_key_that_no_signature_can_carry_is_refused(tmp_path, access):
    with pytest.raises(keyfile.KeyFileError, match="Invalid access key"):
        keyfile.add(str(tmp_path / "keys"), access, SECRET)
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("secret", ["secret123", "s" * 15, "s" * 65, "s " * 8, "\xe4" * 16])
def test_a_secret_of_another_length_is_refused_and_not_shown(tmp_path, secret):
    with pytest.raises(keyfile.KeyFileError) as caught:
        keyfile.add(str(tmp_path / "keys"), ACCESS, secret)
    assert secret not in str(caught.value)


def test_a_generated_pair_has_the_form_that_people_know(tmp_path):
    made = [keyfile.generate(str(tmp_path / "keys")) for _ in range(3)]
    assert all(re.fullmatch(r"AKIA[A-Z0-9]{16}", entry.access_key) for entry in made)
    assert all(re.fullmatch(r"[A-Za-z0-9]{40}", entry.secret_key) for entry in made)
    assert keyfile.read(str(tmp_path / "keys")) == made


def test_keys_that_are_added_at_the_same_time_are_all_kept(tmp_path):
    path = str(tmp_path / "keys")
    threads = [threading.Thread(target=keyfile.generate, args=(path,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keyfile.read(path)) == 16
    assert os.listdir(tmp_path) == ["keys"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "keys"
    path.write_text(line())

    def full(_fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        keyfile.add(str(path), ACCESS, SECRET)
    assert path.read_text() == line()
    assert os.listdir(tmp_path) == ["keys"]


def test_a_file_that_is_replaced_while_its_lock_is_awaited_is_opened_again(tmp_path, monkeypatch):
    path = tmp_path / "keys"
    path.write_text(line())
    real, taken = replacing.fcntl.flock, []

    def late(fd, how):
        if not taken:  # as if somebody else had held the lock and put a new file there, or none
            path.unlink()
        elif len(taken) == 1:
            path.rename(tmp_path / "old")
            path.write_text(line(access_key="B"))
        taken.append(fd)
        real(fd, how)

    monkeypatch.setattr(replacing.fcntl, "flock", late)
    keyfile.add(str(path), ACCESS, SECRET)
    assert [entry.access_key for entry in keyfile.read(str(path))] == ["B", ACCESS]
    assert len(taken) == 3


def test_only_root_gives_the_file_to_its_owner(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(os, "fchown", lambda *who: given.append(who[1:]))
    for user in (0, 1000):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        keyfile.add(str(tmp_path / "keys"), ACCESS, SECRET)
    assert given == [(os.getuid(), os.getgid())]


def lines_of(path):
    return [json.loads(one) for one in path.read_text().splitlines()]


def test_a_line_has_an_account_and_an_end_only_when_it_was_given_one(tmp_path):
    path = tmp_path / "keys"
    plain = keyfile.add(str(path), ACCESS, SECRET)
    keyfile.generate(str(path), None, "alice", 5000)
    curvines, ours = lines_of(path)
    assert list(curvines) == ["access_key", "secret_key", "created_at", "enabled"]
    assert (ours["account"], ours["expires_at"]) == ("alice", 5000)
    assert keyfile.read(str(path))[0] == plain
    assert [entry.owner for entry in keyfile.read(str(path))] == [ACCESS, "alice"]


def test_a_key_is_usable_when_it_is_enabled_and_has_not_ended():
    entry = keyfile.Entry("A", "S", expires_at=10)
    assert entry.usable(9.9)
    assert not entry.usable(10)
    assert keyfile.Entry("A", "S").usable(10**10)
    assert not keyfile.Entry("A", "S", enabled=False).usable(0)


@pytest.mark.parametrize(("first", "second"), [("alice", None), (None, "alice"), ("alice", "bob")])
def test_a_key_is_not_given_to_another_account_by_adding_it_again(tmp_path, first, second):
    path = tmp_path / "keys"
    keyfile.add(str(path), ACCESS, SECRET, None, first)
    before = path.read_bytes()
    with pytest.raises(keyfile.KeyFileError, match="another account"):
        keyfile.add(str(path), ACCESS, SECRET[::-1], None, second)
    assert path.read_bytes() == before


def test_a_change_leaves_all_else_as_it_is(tmp_path):
    path = tmp_path / "keys"
    before = b"# note \xff\r\n" + line(access_key="B", owner="x").encode() + b"\r\n \n"
    mine = line(access_key=ACCESS, owner="x", expires_at=7)
    path.write_bytes(before + mine.encode())
    entry = keyfile.alter(str(path), ACCESS, {"enabled": False, "expires_at": None})
    assert not entry.enabled
    assert path.read_bytes().startswith(before)
    changed = json.loads(path.read_bytes()[len(before) :])
    wanted = json.loads(mine) | {"enabled": False}
    del wanted["expires_at"]
    assert changed == wanted


def test_every_line_of_a_key_is_changed(tmp_path):
    path = tmp_path / "keys"
    path.write_text("\n".join(line(secret_key=secret) for secret in ("one", "two")))
    keyfile.alter(str(path), "AKIA", {"enabled": False})
    assert not any(entry.enabled for entry in keyfile.read(str(path)))


def test_what_is_not_there_cannot_be_changed_and_makes_no_file(tmp_path):
    path = tmp_path / "keys"
    with pytest.raises(FileNotFoundError):
        keyfile.alter(str(path), "B", {"enabled": False})
    assert not path.exists()
    path.write_text(line())
    for change in (
        lambda: keyfile.alter(str(path), "B", {"enabled": False}),
        lambda: keyfile.rotate(str(path), "B", "B", 10**10),
    ):
        with pytest.raises(keyfile.KeyFileError, match="no access key B"):
            change()
    assert keyfile.delete(str(path), lambda entry: entry.access_key == "B") == []
    assert path.read_text() == line()


def test_chosen_keys_are_deleted(tmp_path):
    path = tmp_path / "keys"
    path.write_text("".join(line(access_key=key) + "\n" for key in "ABAC"))
    gone = keyfile.delete(str(path), lambda entry: entry.access_key in "AC")
    assert [entry.access_key for entry in gone] == ["A", "A", "C"]
    assert [entry.access_key for entry in keyfile.read(str(path))] == ["B"]


def test_a_rotated_key_ends_and_another_goes_on_for_its_account(tmp_path):
    path = tmp_path / "keys"
    path.write_text(line(account="alice", description="laptop"))
    made = keyfile.rotate(str(path), "AKIA", "alice", 10**10, 2 * 10**10)
    old, new = keyfile.read(str(path))
    assert (old.expires_at, old.enabled, old.account) == (10**10, True, "alice")
    assert (new, new.account, new.description) == (made, "alice", "laptop")
    assert (new.expires_at, new.secret_key == old.secret_key) == (2 * 10**10, False)


def test_rotating_lengthens_no_life(tmp_path):
    path = tmp_path / "keys"
    path.write_text(line(expires_at=10**10))
    keyfile.rotate(str(path), "AKIA", "AKIA", 2 * 10**10)
    assert keyfile.read(str(path))[0].expires_at == 10**10


@pytest.mark.parametrize("changes", [{"enabled": False}, {"expires_at": 1}, {"account": "bob"}])
def test_a_key_that_may_not_sign_or_is_anothers_is_not_rotated(tmp_path, changes):
    path = tmp_path / "keys"
    path.write_text(line(**changes))
    with pytest.raises(keyfile.KeyFileError):
        keyfile.rotate(str(path), "AKIA", "alice", 10**10)
    assert path.read_text() == line(**changes)
