"""Looking up keys: from the file and the environment, with as few looks at the file as can be."""

import json
import os
import time

import pytest

from s3filters.sign import credentials
from s3filters.sign.credentials import Credentials


def line(access, secret="secret", enabled=True):
    values = {"access_key": access, "secret_key": secret, "created_at": 1, "enabled": enabled}
    return json.dumps(values) + "\n"


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
