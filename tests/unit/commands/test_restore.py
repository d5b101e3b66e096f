"""``s3filters restore``: what is asked for, how much at a time, and what is said of it."""

import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from s3filters.commands import main, restore, shelves
from s3filters.commands.errors import CommandError
from s3filters.commands.meter import Meter, bar
from s3filters.commands.shelves import Object, Refused
from tests import daemon


class Shelf:
    """Objects that are asked for by threads, as those of an endpoint."""

    def __init__(self, states, threads=4):
        self.bucket = "box"
        self.in_flight = threads
        self.pool = ThreadPoolExecutor(threads)
        self.states = states
        self.asked = []
        self.settled = []
        self.most = 0
        self.refuse = {}
        self.act = lambda key: None
        self.looks = 0
        self._now = 0
        self._lock = threading.Lock()

    def objects(self, prefix):
        self.looks += 1
        for key, state in list(self.states.items()):
            if key.startswith(prefix):
                yield Object(key, 1000, state, hint=-len(self.asked))

    def restore(self, key, _wanted):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            self.act(key)
            if key in self.refuse:
                raise Refused(self.refuse[key], "the reason")
            with self._lock:
                self.asked.append(key)
            self.states[key] = "staging"
            return 202
        finally:
            with self._lock:
                self._now -= 1

    def settle(self):
        assert not self._now
        self.settled.append(len(self.asked))


@pytest.fixture
def run(monkeypatch, capsys):
    def run(shelf, *words):
        @contextmanager
        def opened(_arguments):
            yield shelf
            shelf.pool.shutdown()

        monkeypatch.setattr(shelves, "opened", opened)
        code = main.main(["restore", "s3://box", "--days", "7", *words])
        return code, *capsys.readouterr()

    return run


def offline(count):
    return {f"key{number:04d}": "offline" for number in range(count)}


def test_no_more_is_under_way_than_there_are_threads(run):
    shelf = Shelf(offline(200))
    shelf.act = lambda _key: time.sleep(0.001)
    assert run(shelf)[0] == 0
    assert len(shelf.asked) == 200
    assert shelf.most <= 4


@pytest.mark.parametrize(
    ("state", "again", "asked"),
    [
        ("offline", False, True),
        ("partly", False, True),
        ("failed", False, True),
        ("staging", False, False),
        ("restored", False, False),
        ("online", False, False),
        ("staging", True, True),
        ("restored", True, True),
        ("online", True, False),
    ],
)
def test_the_state_says_whether_an_object_is_asked_for(run, state, again, asked):
    shelf = Shelf({"key": state})
    assert run(shelf, *(["--again"] if again else []))[0] == 0
    assert shelf.asked == (["key"] if asked else [])


def test_what_is_refused_is_listed_and_the_rest_is_asked_for(run):
    shelf = Shelf(offline(3))
    shelf.refuse = {"key0001": "AccessDenied"}
    code, out, err = run(shelf)
    assert code == 1
    assert sorted(shelf.asked) == ["key0000", "key0002"]
    assert err == "Failed: key0001: AccessDenied: the reason\n"
    assert "failed 1 (1000 B)" in out


def test_a_long_list_of_failures_is_cut_short_and_whole_in_json(run):
    shelf = Shelf(offline(150))
    shelf.refuse = dict.fromkeys(shelf.states, "AccessDenied")
    code, _, err = run(shelf)
    assert code == 1
    assert err.splitlines()[-1] == "... and 50 more; --json has all"
    shelf = Shelf(offline(150))
    shelf.refuse = dict.fromkeys(shelf.states, "AccessDenied")
    code, out, err = run(shelf, "--json")
    assert (code, err) == (1, "")
    told = json.loads(out)
    assert len(told["failures"]) == 150
    assert told["failures"][0].keys() == {"key", "code", "message"}


def test_an_object_that_another_asked_for_is_no_failure(run):
    shelf = Shelf(offline(2))
    shelf.refuse = {"key0000": "RestoreAlreadyInProgress", "key0001": "NoSuchKey"}
    code, out, _ = run(shelf)
    assert code == 0
    assert out.startswith("Asked for 0 objects, 0 B. Now: online 0, staging 1 (1000 B)")


def test_what_is_refused_for_all_alike_ends_the_run_at_once(run):
    shelf = Shelf(offline(500))
    shelf.refuse = dict.fromkeys(shelf.states, "NotImplemented")
    tries = []
    shelf.act = tries.append
    code, out, err = run(shelf)
    assert (code, out, err) == (1, "", "s3filters: NotImplemented: the reason\n")
    assert len(tries) < 50


def test_ctrl_c_gives_up_what_is_not_begun_and_tells_what_was_done(run, monkeypatch):
    shelf = Shelf(offline(500), threads=2)
    real = shelf.objects

    def objects(prefix):
        for number, one in enumerate(real(prefix)):
            yield one
            if number == 250:
                raise KeyboardInterrupt

    shelf.objects = objects
    monkeypatch.setattr(restore, "BATCH", 100)
    code, out, err = run(shelf, "--json")
    assert code == 130
    told = json.loads(out)
    assert told["interrupted"] is True
    assert 190 < told["asked"]["objects"] == len(shelf.asked) <= 200
    assert "Run it again" in err
    # and the next run asks for the rest
    again = Shelf(shelf.states)
    assert run(again)[0] == 0
    assert len(again.asked) == 500 - len(shelf.asked)


def test_ctrl_c_while_it_waits_is_no_failure_of_anything(run, monkeypatch):
    def interrupt(seconds):
        if seconds:
            raise KeyboardInterrupt

    monkeypatch.setattr(restore.time, "sleep", interrupt)
    code, out, _ = run(Shelf(offline(2)), "--wait")
    assert code == 130
    assert "staging 2 (2.0 KiB), failed 0" in out


def test_a_listing_that_breaks_off_says_what_was_asked_until_then(run, monkeypatch):
    shelf = Shelf(offline(10))
    real = shelf.objects

    def objects(prefix):
        yield from real(prefix)
        raise CommandError("no answer")

    shelf.objects = objects
    monkeypatch.setattr(restore, "BATCH", 5)
    code, out, err = run(shelf)
    assert (code, err) == (1, "s3filters: no answer\n")
    assert out.startswith("Asked for 10 objects")


def test_waiting_outlasts_an_endpoint_that_is_away_for_a_while(run, monkeypatch):
    monkeypatch.setattr(restore.time, "sleep", lambda _s: None)
    shelf = Shelf(offline(1))
    real = shelf.objects

    def objects(prefix):
        if 0 < shelf.looks < 5:
            shelf.looks += 1
            raise CommandError("no answer")
        if shelf.looks:
            shelf.states["key0000"] = "restored"
        yield from real(prefix)

    shelf.objects = objects
    code, out, _ = run(shelf, "--wait")
    assert code == 0
    assert "online 1" in out


def test_waiting_ends_when_nobody_answers_any_more(run, monkeypatch):
    monkeypatch.setattr(restore.time, "sleep", lambda _s: None)
    shelf = Shelf(offline(1))
    real = shelf.objects

    def objects(prefix):
        if shelf.looks:
            raise CommandError("no answer")
        yield from real(prefix)

    shelf.objects = objects
    code, out, err = run(shelf, "--wait")
    assert (code, err) == (1, "s3filters: no answer\n")
    assert "staging 1" in out


def test_one_look_that_sees_no_flag_is_not_a_failure_yet(run, monkeypatch):
    monkeypatch.setattr(restore.time, "sleep", lambda _s: None)
    shelf = Shelf(offline(1))
    states = iter(["offline", "staging", "offline", "online"])
    real = shelf.objects

    def objects(prefix):
        if shelf.looks:
            shelf.states["key0000"] = next(states)
        yield from real(prefix)

    shelf.objects = objects
    assert run(shelf, "--wait")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["s3://"], "say s3://bucket"),
        (["box/key"], "say s3://bucket"),
        (["s3://box", "--days", "0"], "say a number of days"),
        (["s3://box", "--days", "x"], "say a number of days"),
        (["s3://box", "--days", "1", "--tier", "Fast"], "invalid choice"),
        (["s3://box", "--days", "1", "--jobs", "0"], "from 1 to 256"),
        (["s3://box", "--days", "1", "--interval", "soon"], "say how long"),
        (["s3://box"], "--days"),
    ],
)
def test_what_is_said_wrong_is_exit_code_2(words, said, capsys):
    with pytest.raises(SystemExit) as end:
        main.main(["restore", *words])
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_a_folder_has_no_endpoint(tmp_path, capsys):
    words = ["restore", "s3://box", "--days", "1", "--root", str(tmp_path), "--region", "x"]
    assert main.main(words) == 2
    assert "say either" in capsys.readouterr().err


def test_a_daemon_on_a_plain_folder_has_nothing_on_tape(tmp_path, monkeypatch, capsys):
    box = tmp_path / "root" / "box"
    box.mkdir(parents=True)
    (box / "thing").write_bytes(b"x" * 10)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", daemon.ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", daemon.SECRET_KEY)
    with daemon.running(tmp_path / "root") as served:
        words = ["s3://box/th", "--endpoint-url", served.url]
        assert main.main(["restore", "--days", "1", "--wait", *words]) == 0
        assert main.main(["cold", "ls", *words]) == 0
    asked, _, line, _ = capsys.readouterr().out.splitlines()
    assert asked.startswith("Asked for 0 objects, 0 B. Now: online 1 (10 B)")
    assert line.split() == ["online", "10", "B", "STANDARD", "-", "thing"]


def test_an_endpoint_where_nobody_listens_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", daemon.ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", daemon.SECRET_KEY)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    url = f"http://127.0.0.1:{daemon.free_port()}"
    assert main.main(["cold", "status", "s3://box", "--endpoint-url", url]) == 1
    err = capsys.readouterr().err
    assert err.startswith("s3filters: Could not connect")
    assert err.count("\n") == 1


# the meter ---------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_has_one_line_that_is_written_over(monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")
    stream = Terminal()
    meter = Meter(stream)
    meter.show("a" * 50)
    meter.show("too early")
    meter.show("b", now=True)
    meter.clear()
    meter.clear()
    assert stream.getvalue() == "\r\x1b[K" + "a" * 9 + "\r\x1b[Kb" + "\r\x1b[K"


def test_a_file_has_lines_and_only_when_that_is_wanted():
    quiet, plain = io.StringIO(), io.StringIO()
    Meter(quiet).show("words")
    meter = Meter(plain, wanted=True)
    meter.show("words")
    meter.show("more", now=True)
    meter.show("more", now=True)
    meter.clear()
    assert quiet.getvalue() == ""
    assert plain.getvalue() == "words\nmore\n"


@pytest.mark.parametrize(
    ("done", "whole", "said"),
    [
        (0, 0, "[####################] 100%"),
        (0, 9, "[....................]   0%"),
        (999, 1000, "[###################.]  99%"),
    ],
)
def test_a_bar_is_full_when_all_is_done(done, whole, said):
    assert bar(done, whole) == said


def test_the_archiver_is_asked_for_each_batch_once_all_of_it_is_noted(run, monkeypatch):
    monkeypatch.setattr(restore, "BATCH", 2)
    shelf = Shelf(dict.fromkeys("abcde", "offline"))
    run(shelf)
    assert shelf.settled == [2, 4, 5]


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_where_nothing_was_asked_for_nobody_is_asked(run, words):
    shelf = Shelf({"a": "offline" if words else "online"})
    run(shelf, *words)
    assert shelf.settled == []
