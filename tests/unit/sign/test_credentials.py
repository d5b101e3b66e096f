"""Looking up keys: from the file and the environment, with as few looks at the file as can be."""

import json
import logging
import os
import time

import pytest

from s3filters.s3.call import Identity
from s3filters.sign import accountfile, credentials
from s3filters.sign.credentials import Credentials


def line(access, secret="secret", enabled=True, **more):
    values = {"access_key": access, "secret_key": secret, "created_at": 1, "enabled": enabled}
    return json.dumps(values | more) + "\n"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "keys"
    path.write_text(line("A"))
    path.chmod(0o600)
    return path


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is moved; files count as old enough to trust their times."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(credentials.time, "monotonic", lambda: Clock.now)
    monkeypatch.setattr(credentials, "_YOUNG", -(10**18))
    return Clock


@pytest.fixture
def looks(monkeypatch):
    """Count the looks at files."""
    counted = []
    real = os.stat
    monkeypatch.setattr(credentials.os, "stat", lambda path: counted.append(path) or real(path))
    return counted


def test_a_key_of_the_file_may_sign(path):
    found = Credentials(str(path), {}).find("A")
    assert (found.secret_key, found.identity.access_key, found.identity.id) == ("secret", "A", "A")
    assert Credentials(str(path), {}).find("B") is None


def test_the_last_enabled_line_of_a_key_wins(path):
    path.write_text(
        line("A", "1") + line("A", "2") + line("A", "3", enabled=False) + line("B", enabled=False)
    )
    known = Credentials(str(path), {})
    assert known.find("A").secret_key == "2"
    assert known.find("B") is None


@pytest.mark.parametrize("names", credentials.ENVIRONMENT)
def test_pairs_of_the_environment_stand_above_the_file(path, names):
    known = Credentials(str(path), {names[0]: "A", names[1]: "other"})
    assert known.find("A").secret_key == "other"
    assert path.read_text() == line("A")


def test_half_a_pair_of_the_environment_is_none():
    assert credentials.from_environment({"S3_ACCESS_KEY": "A", "AWS_SECRET_ACCESS_KEY": "s"}) == {}


def test_pairs_of_the_environment_need_no_file():
    known = Credentials(
        "",
        {
            "S3_ACCESS_KEY": "A",
            "S3_SECRET_KEY": "1",
            "AWS_ACCESS_KEY_ID": "A",
            "AWS_SECRET_ACCESS_KEY": "2",
        },
    )
    assert known.find("A").secret_key == "1"
    assert known.find("B") is None


def test_the_file_is_looked_at_once_a_second_at_most(path, clock, looks):
    known = Credentials(str(path), {})
    for _ in range(100):
        assert known.find("A")
    assert len(looks) == 1
    clock.now += 1
    for _ in range(100):
        assert known.find("A")
    assert len(looks) == 2


def test_a_stranger_who_guesses_keys_costs_one_look_a_second(path, clock, looks):
    known = Credentials(str(path), {})
    for number in range(100):
        assert known.find(f"guess{number}") is None
    assert len(looks) == 2  # the usual one, and one for the first miss


def test_a_new_key_is_found_at_once_when_nobody_was_missed_lately(path, clock):
    known = Credentials(str(path), {})
    known.find("A")
    path.write_text(line("A") + line("B"))
    assert known.find("B")


def test_a_key_that_was_taken_out_is_unknown_a_second_later(path, clock):
    known = Credentials(str(path), {})
    assert known.find("A")
    path.write_text(line("A", enabled=False))
    clock.now += 1
    assert known.find("A") is None


def test_a_file_that_did_not_change_is_not_read_again(path, clock, monkeypatch):
    reads = []
    real = credentials.keyfile.read
    monkeypatch.setattr(credentials.keyfile, "read", lambda path: reads.append(path) or real(path))
    known = Credentials(str(path), {})
    for _ in range(5):
        known.find("A")
        clock.now += 1
    assert len(reads) == 1
    os.utime(path, (1, 1))
    known.find("A")
    assert len(reads) == 2


def test_a_file_that_is_too_young_to_trust_its_times_is_read_again(path, clock, monkeypatch):
    monkeypatch.setattr(credentials, "_YOUNG", 10**18)
    known = Credentials(str(path), {})
    known.find("A")
    monkeypatch.setattr(credentials, "_stamp", lambda status: None)
    path.write_text(line("A", "secreT"))
    clock.now += 1
    assert known.find("A").secret_key == "secreT"


def test_a_file_that_is_gone_takes_its_keys_with_it(path, clock):
    known = Credentials(str(path), {"S3_ACCESS_KEY": "E", "S3_SECRET_KEY": "s"})
    assert known.find("A")
    path.unlink()
    clock.now += 1
    assert known.find("A") is None
    assert known.find("E")
    path.write_text(line("A"))
    clock.now += 1
    assert known.find("A")


def test_an_error_of_the_file_system_keeps_what_was_known(path, clock, monkeypatch, caplog):
    known = Credentials(str(path), {})
    assert known.find("A")

    def fail(_path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(credentials.os, "stat", fail)
    clock.now += 1
    assert known.find("A")
    assert "credentials stay as they were" in caplog.text


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_that_others_can_read_is_warned_about(path, caplog, mode):
    path.chmod(mode)
    assert Credentials(str(path), {}).find("A")
    assert f"{path} can be read by others" in caplog.text


def test_a_closed_file_is_not_warned_about(path, caplog):
    assert Credentials(str(path), {}).find("A")
    assert not caplog.records


def test_keys_are_known_before_the_first_request(path):
    known = Credentials(str(path), {}, run=None)
    path.unlink()
    assert known.find("A")


def test_looking_at_the_file_happens_where_blocking_is_allowed(path, clock):
    calls = []
    known = Credentials(str(path), {}, lambda function: calls.append(function) or function())
    clock.now += 1
    assert known.find("A")
    assert calls == [known.refresh]


def test_a_lookup_is_cheap(path):
    known = Credentials(str(path), {})
    start = time.perf_counter()
    for _ in range(10_000):
        known.find("A")
    assert time.perf_counter() - start < 0.5


def account(name, **changes):
    return {"id": name, "display_name": name.upper(), "role": "user"} | changes


@pytest.fixture
def accounts(tmp_path):
    """Write an account file, and return its path."""
    path = tmp_path / "accounts.json"

    def write(*given):
        path.write_text(json.dumps({"version": 1, "accounts": given}))
        path.chmod(0o600)
        return str(path)

    return write


def test_a_key_that_names_no_account_is_one_that_may_do_everything(path):
    assert Credentials(str(path), {}).find("A").identity == Identity("A", "A", role="admin")


def test_keys_of_an_account_have_its_identity_ready(path, accounts):
    path.write_text(line("A", account="alice") + line("B", account="alice"))
    known = Credentials(str(path), {}, accounts=accounts(account("alice", uid=1, gid=2, project=3)))
    for key in "AB":
        found = known.find(key).identity
        assert found == Identity(key, "alice", "ALICE", "user", 1, 2, 3)
        assert known.find(key).identity is found


def test_an_account_with_the_id_of_a_key_says_what_the_key_may_do(path, accounts):
    known = Credentials(
        str(path), {"S3_ACCESS_KEY": "E", "S3_SECRET_KEY": "s"}, None, accounts(account("A"))
    )
    assert known.find("A").identity.role == "user"
    assert known.find("E").identity.role == "admin"


def test_a_key_whose_account_is_not_there_may_not_sign(path, accounts, caplog):
    path.write_text(line("A", account="alice") + line("B"))
    for place in ("", accounts(account("bob"))):
        known = Credentials(str(path), {}, accounts=place)
        assert known.find("A") is None
        assert known.find("B")
    assert "A may not sign" in caplog.text


def test_the_log_says_why_a_key_may_not_sign(path, accounts, caplog):
    path.write_text(
        line("LOST", account="gone") + line("OFF", enabled=False) + line("OLD", expires_at=1)
    )
    known = Credentials(str(path), {}, accounts=accounts(account("bob")))
    with caplog.at_level(logging.DEBUG):
        for key, why in (
            ("LOST", "its account is not there"),
            ("OFF", "it is disabled"),
            ("OLD", "it has expired"),
            ("NEW\n", "it is not known"),
        ):
            assert known.find(key) is None
            assert caplog.messages[-1] == f"{key!r} may not sign: {why}"


def test_a_changed_account_is_known_a_second_later(path, accounts, clock, looks):
    known = Credentials(str(path), {}, accounts=accounts(account("A")))
    for role in ("admin", "userplus"):
        accounts(account("A", role=role))
        clock.now += 1
        assert known.find("A").identity.role == role
    del looks[:]
    clock.now += 1
    for _ in range(100):
        known.find("A")
    assert len(looks) == 2  # one for each file


@pytest.mark.parametrize(
    "how", [lambda path: path.unlink(), lambda path: path.write_text("{")], ids=["gone", "broken"]
)
def test_an_account_file_that_is_gone_or_broken_makes_nobody_an_admin(
    path, accounts, clock, caplog, how, tmp_path
):
    known = Credentials(str(path), {}, accounts=accounts(account("A")))
    how(tmp_path / "accounts.json")
    clock.now += 1
    assert known.find("A").identity.role == "user"
    assert "accounts stay as they were" in caplog.text
    path.write_text(line("A", "other"))
    clock.now += 1
    assert (known.find("A").secret_key, known.find("A").identity.role) == ("other", "user")


def test_nothing_starts_with_an_account_file_that_cannot_be_used(path, accounts, tmp_path):
    accounts(account("A", role="owner"))
    with pytest.raises(accountfile.NotAccounts):
        Credentials(str(path), {}, accounts=str(tmp_path / "accounts.json"))
    with pytest.raises(OSError, match="directory"):
        Credentials(str(path), {}, accounts=str(tmp_path))


def test_a_key_ends_at_its_time_without_a_look_at_the_file(path, clock, monkeypatch):
    path.write_text(line("A", expires_at=2000) + line("B", expires_at=None))
    known = Credentials(str(path), {})
    monkeypatch.setattr(credentials.time, "time", lambda: 1999.9)
    assert known.find("A")
    monkeypatch.setattr(credentials.time, "time", lambda: 2000.0)
    assert known.find("A") is None
    assert known.find("B")


def test_a_key_that_has_ended_does_not_fall_back_on_an_earlier_line(path):
    path.write_text(line("A", "old") + line("A", "new", expires_at=1))
    assert Credentials(str(path), {}).find("A") is None


def test_versitys_users_may_sign_and_keys_of_the_file_stand_above_them(path, tmp_path):
    users = tmp_path / "users.json"
    fields = {"secret": "theirs", "role": "user", "userID": 1, "groupID": 2, "projectID": 3}
    users.write_text(
        json.dumps({"accessAccounts": {name: {"access": name} | fields for name in ("A", "V")}})
    )
    known = Credentials(str(path), {"S3_ACCESS_KEY": "E", "S3_SECRET_KEY": "s"}, None, str(users))
    assert known.find("V").secret_key == "theirs"
    assert known.find("V").identity == Identity("V", "V", "V", "user", 1, 2, 3)
    assert known.find("A").secret_key == "secret"
    assert known.find("E").identity.role == "admin"


def test_a_key_of_ours_may_belong_to_one_of_versitys_users(path, tmp_path):
    users = tmp_path / "users.json"
    fields = {"access": "V", "secret": "theirs", "role": "userplus"}
    users.write_text(json.dumps({"accessAccounts": {"V": fields}}))
    path.write_text(line("A", account="V"))
    assert Credentials(str(path), {}, None, str(users)).find("A").identity.role == "userplus"


def test_an_id_or_a_key_says_whom_it_means_even_when_he_may_not_sign(path, accounts, clock):
    path.write_text(line("A", enabled=False) + line("B", account="alice"))
    known = Credentials(str(path), {}, accounts=accounts(account("alice"), account("keyless")))
    assert known.holder("A") == Identity("A", "A", role="admin")
    assert known.holder("B") == Identity("B", "alice", "ALICE", "user")
    assert known.holder("alice") == Identity("", "alice", "ALICE", "user")
    assert known.holder("keyless").display_name == "KEYLESS"
    assert known.holder("ALICE") is None
    for name in ("A", "alice", "ALICE"):
        assert known.knows(name) == known.holder(name)
    accounts(account("alice", display_name="alicia"))
    clock.now += 1
    assert known.holder("alice").display_name == "alicia"
