"""Batches: what is in one, when it goes, in which order, and what becomes of what fails."""

import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.tiers import asking
from s3filters.tiers.asking import Asking
from s3filters.tiers.base import FASTEST_FIRST, Driver, File, Settings

LIMIT_S = 10


def until(condition):
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


class Robot(Driver):
    """Remembers its batches; ``answers`` are what it could not do, or an exception."""

    def __init__(self):
        self.batches = []
        self.asked = []
        self.moments = []
        self.answers = []
        self.busy = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def stage(self, files):
        self.batches.append([file.path for file in files])
        self.asked += [(file.path, file.tier) for file in files]
        assert len({file.tier for file in files}) == 1
        self.moments.append(time.monotonic())
        self.busy.set()
        assert self.go.wait(LIMIT_S)
        answer = self.answers.pop(0) if self.answers else ()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Listener:
    def __init__(self):
        self.told = []
        self.unwanted = set()
        self.error = None

    def is_wanted(self, verb, file):
        if self.error is not None:
            raise self.error
        return file.path not in self.unwanted

    def done(self, verb, file):
        self.told.append(("done", verb, file.path))
        if self.error is not None:
            raise self.error

    def given_up(self, verb, file):
        self.told.append(("given up", verb, file.path))

    def dropped(self, verb, file):
        self.told.append(("dropped", verb, file.path))


@pytest.fixture
def robot():
    return Robot()


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def make(robot, listener):
    made = []

    def make(**settings):
        made.append(Asking(robot, Settings(**{"wait_s": 0.05, **settings}), listener))
        return made[-1]

    yield make
    robot.go.set()
    for one in made:
        one.close()


def files(*names, tier=""):
    return [File(f"/{name}", number, tier) for number, name in enumerate(names)]


def test_what_is_asked_at_once_is_one_batch_by_inode(make, robot, listener):
    ours = make()
    for file in reversed(files("c", "b", "a")):
        assert ours.add("stage", file)
    until(lambda: len(listener.told) == 3)
    assert robot.batches == [["/c", "/b", "/a"]]
    assert listener.told == [("done", "stage", f"/{name}") for name in "cba"]


def test_the_log_has_a_line_for_a_batch_and_none_for_each_file(make, robot, listener, caplog):
    caplog.set_level("INFO")
    robot.answers = [["/a"], RuntimeError("no robot")]
    ours = make(retries=0)
    for file in files("a", "b", "c", tier="Bulk"):
        ours.add("stage", file)
    until(lambda: len(listener.told) == 3)
    ours.add("stage", files("d")[0])
    until(lambda: len(listener.told) == 4)
    ours.add("stage", files("e")[0])
    until(lambda: len(listener.told) == 5)
    said = [one.getMessage() for one in caplog.records if one.levelname == "INFO"]
    assert said == ["stage: 2 files asked for (Bulk)", "stage: 1 file asked for"]
    assert "stage of 1 file failed" in caplog.messages


def test_a_driver_has_an_order_of_its_own(make, robot, listener):
    robot.order = lambda file: file.path
    ours = make()
    for file in files("c", "b", "a"):
        ours.add("stage", file)
    until(lambda: len(listener.told) == 3)
    assert robot.batches == [["/a", "/b", "/c"]]


def test_an_order_that_fails_or_is_none_keeps_nobody_waiting(make, robot, listener, caplog):
    places = {"/a": 2, "/b": None, "/c": 1, "/d": "x"}

    def order(file):
        if places[file.path] is None:
            raise OSError("the robot's list cannot be read")
        return places[file.path]

    robot.order = order
    ours = make()
    for file in files("a", "b", "c"):
        assert ours.add("stage", file)
    until(lambda: len(listener.told) == 3)
    assert robot.batches == [["/c", "/a", "/b"]]
    assert "the robot's list" in caplog.text
    for file in files("a", "b", "c", "d"):
        assert ours.add("stage", file)
    until(lambda: len(listener.told) == 7)
    places["/d"] = 4
    for file in files("a", "b", "c", "d"):
        assert ours.add("stage", file)
    until(lambda: len(listener.told) == 11)


def test_those_that_are_tried_again_later_do_not_make_a_batch_full(make, robot):
    ours = make(batch=2, wait_s=0.3)
    robot.answers = [["/a", "/b"]]
    for file in files("a", "b"):
        ours.add("stage", file)
    until(lambda: len(robot.batches) == 1)
    for file in files("c", "d"):
        time.sleep(0.05)
        ours.add("stage", file)
    until(lambda: len(robot.batches) == 2)
    assert sorted(robot.batches[1]) == ["/c", "/d"]


def test_a_file_waits_once(make, robot, listener):
    ours = make()
    for _ in range(5):
        ours.add("stage", files("a")[0])
    until(lambda: listener.told)
    assert robot.batches == [["/a"]]


def test_a_batch_is_of_one_tier_and_the_fastest_counts(make, robot, listener):
    ours = make()
    for name, tier in [("a", "Bulk"), ("b", "Standard"), ("c", "Bulk"), ("d", "Expedited")]:
        ours.add("stage", File(f"/{name}", ord(name), tier))
    ours.add("stage", File("/c", ord("c"), "Expedited"))
    ours.add("stage", File("/d", ord("d"), "Bulk"))  # a slower one does not count any more
    until(lambda: len(listener.told) == 4)
    assert sorted(robot.batches) == [["/a"], ["/b"], ["/c", "/d"]]


def test_what_is_wanted_fast_does_not_wait_for_what_is_slow(make, robot, listener):
    robot.go.clear()  # one batch takes as long as a tape
    ours = make(wait_s=0)
    ours.add("stage", File("/a", 1, "Bulk"))
    assert robot.busy.wait(LIMIT_S)
    ours.add("stage", File("/b", 2, "Bulk"))
    ours.add("stage", File("/c", 3, "Expedited"))
    until(lambda: ["/c"] in robot.batches)
    assert ["/b"] not in robot.batches


def test_a_batch_has_a_size_and_goes_as_soon_as_it_is_full(make, robot, listener):
    ours = make(batch=2, wait_s=60)
    for file in files("a", "b", "c", "d"):
        ours.add("stage", file)
    until(lambda: len(listener.told) == 4)
    assert robot.batches == [["/a", "/b"], ["/c", "/d"]]


def test_a_batch_begins_where_the_last_one_ended(make, robot, listener):
    robot.go.clear()
    ours = make(batch=2, wait_s=0)
    ours.add("stage", File("/m", 50))
    robot.busy.wait(LIMIT_S)
    for name, ino in [("a", 10), ("n", 51), ("b", 11), ("z", 99), ("p", 60)]:
        ours.add("stage", File(f"/{name}", ino))
    robot.go.set()
    until(lambda: len(listener.told) == 6)
    assert robot.batches == [["/m"], ["/n", "/p"], ["/z"], ["/a", "/b"]]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(FASTEST_FIRST)), min_size=1, max_size=30),
    st.integers(1, 4),
)
def test_each_is_asked_for_with_its_fastest_tier_whatever_comes_in_whatever_order(asked, size):
    robot, listener = Robot(), Listener()
    ours = Asking(robot, Settings(batch=size, wait_s=0.01), listener)
    for number, tier in asked:
        ours.add("stage", File(f"/{number}", number, tier))
    fastest = {}
    for number, tier in asked:
        fastest[f"/{number}"] = min(fastest.get(f"/{number}", ""), tier, key=FASTEST_FIRST.index)
    until(lambda: {(path, tier) for path, tier in robot.asked} >= set(fastest.items()))
    ours.close()
    assert all(len(batch) <= size for batch in robot.batches)
    assert len(robot.asked) <= len(asked)


# --- what fails ----------------------------------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(asking, "FIRST_RETRY_S", 0.01)


@pytest.mark.parametrize("failure", [["/a"], ValueError("broken")])
def test_what_fails_is_tried_again_and_given_up_in_the_end(
    make, robot, listener, at_once, caplog, failure
):
    robot.answers = [failure] * 3
    ours = make(retries=2)
    ours.add("stage", files("a")[0])
    until(lambda: listener.told)
    assert robot.batches == [["/a"]] * 3
    assert listener.told == [("given up", "stage", "/a")]
    assert "stage of '/a' failed 3 times" in caplog.text


def test_what_is_done_at_last_has_not_failed(make, robot, listener, at_once):
    robot.answers = [["/b"]]
    ours = make()
    for file in files("a", "b"):
        ours.add("stage", file)
    until(lambda: len(listener.told) == 2)
    assert listener.told == [("done", "stage", "/a"), ("done", "stage", "/b")]
    assert robot.batches == [["/a", "/b"], ["/b"]]


def test_it_is_tried_later_each_time(make, robot, monkeypatch):
    monkeypatch.setattr(asking, "FIRST_RETRY_S", 0.1)
    robot.answers = [["/a"]] * 3
    make(wait_s=0).add("stage", files("a")[0])
    until(lambda: len(robot.moments) == 4)
    pauses = [after - before for before, after in pairwise(robot.moments)]
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4), strict=True))


def test_what_nobody_wants_any_more_is_dropped_before_it_is_asked_for(make, robot, listener):
    listener.unwanted = {"/b"}
    ours = make()
    for file in files("a", "b"):
        ours.add("stage", file)
    until(lambda: len(listener.told) == 2)
    assert robot.batches == [["/a"]]
    assert set(listener.told) == {("dropped", "stage", "/b"), ("done", "stage", "/a")}


def test_a_batch_of_which_nothing_is_wanted_is_none(make, robot, listener):
    listener.unwanted = {"/a"}
    make().add("stage", files("a")[0])
    until(lambda: listener.told)
    assert robot.batches == []


def test_a_listener_that_fails_does_not_end_the_work(make, robot, listener, caplog):
    ours = make()
    listener.error = RuntimeError("deaf")
    ours.add("stage", files("a")[0])
    until(lambda: listener.told)
    assert robot.batches == []  # whether it is wanted is not known
    listener.error = None
    ours.add("stage", files("a")[0])
    until(lambda: len(listener.told) == 2)
    assert robot.batches == [["/a"]]
    assert "nobody knows whether" in caplog.text


def test_what_cannot_be_written_down_was_asked_for_all_the_same(make, robot, listener, caplog):
    def deaf(verb, file):
        raise RuntimeError("deaf")

    listener.done = deaf
    ours = make()
    for file in files("a", "b"):
        ours.add("stage", file)
        until(lambda: robot.batches)
    until(lambda: sum(len(batch) for batch in robot.batches) == 2)
    assert "nobody could note" in caplog.text


def test_there_is_an_end_to_waiting(make, robot, monkeypatch):
    monkeypatch.setattr(asking, "MOST_WAITING", 2)
    ours = make(wait_s=60)
    assert [ours.add("stage", file) for file in files("a", "b", "c")] == [True, True, False]
    assert ours.add("stage", files("a")[0])


def test_no_thread_is_begun_before_there_is_work_and_none_is_left(make):
    before = set(threading.enumerate())
    ours = make()
    assert set(threading.enumerate()) <= before
    ours.add("stage", files("a")[0])
    (begun,) = set(threading.enumerate()) - before
    ours.close()
    begun.join(LIMIT_S)
    assert not begun.is_alive()


def test_a_driver_can_do_what_it_has_a_method_for(robot):
    assert robot.cannot("stage") == ""
    assert robot.cannot("archive") == "Nobody can archive an object."
    with pytest.raises(NotImplementedError):
        robot.archive([])
