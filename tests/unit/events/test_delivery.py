"""Each event until it was taken: retried, later each time, across deaths and nodes."""

import json
import os
import threading
import time

import pytest

from s3filters.events import delivery as module
from s3filters.events.delivery import Delivery
from s3filters.events.events import Events
from s3filters.events.outlets import Refused, Webhook
from s3filters.events.spool import LEFT_S, Spool
from tests.unit.events.receiver import receiving
from tests.unit.events.test_message import event


class Taker:
    """An outlet that fails as it is told."""

    def __init__(self):
        self.got = []
        self.refuses = set()
        self.broken = False

    def send(self, message, id_):
        if self.broken:
            raise OSError("broken")
        if message in self.refuses:
            raise Refused("answered 400")
        self.got.append((id_, message))

    def rest(self):
        pass


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "webhook" / "here", 100)


@pytest.fixture
def taker():
    return Taker()


@pytest.fixture
def delivery(spool, taker):
    return Delivery("events_url", spool, taker)


@pytest.fixture
def another(spool, taker):
    """The same in another process."""
    return Delivery("events_url", Spool(spool.folder, 100), taker)


def happen(spool, *ids):
    for number, id_ in enumerate(ids):
        spool.prepare(id_, id_.encode()).happened()
        os.utime(spool.folder / f"{id_}.json", (1000 + number,) * 2)


def test_what_was_taken_is_gone(delivery, spool, taker):
    happen(spool, "b", "a")
    assert delivery.look() == 2
    assert taker.got == [("b", b"b"), ("a", b"a")]
    assert delivery.look() == 0
    assert len(taker.got) == 2


def test_nothing_is_lost_while_nothing_can_be_sent(delivery, spool, taker, caplog):
    happen(spool, "a", "b")
    taker.broken = True
    for _ in range(3):
        assert delivery.look() == 0
    assert caplog.messages == ["events_url: events wait: broken"] * 3
    taker.broken = False
    assert delivery.look() == 2


def test_each_failure_makes_the_next_pause_longer(delivery, spool, taker):
    happen(spool, "a")
    taker.broken = True
    pauses = []
    for _ in range(12):
        delivery.look()
        pauses.append(delivery.pause_s())
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == module.LAST_PAUSE_S
    taker.broken = False
    delivery.look()
    assert delivery.pause_s() == module.LOOK_S


def test_one_that_is_refused_waits_and_does_not_stop_the_others(
    delivery, spool, taker, monkeypatch
):
    happen(spool, "bad", "good")
    taker.refuses = {b"bad"}
    assert delivery.look() == 1
    assert taker.got == [("good", b"good")]
    taker.refuses = set()
    assert delivery.look() == 0  # not yet
    later = time.monotonic() + module.FIRST_PAUSE_S + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert delivery.look() == 1


def test_what_a_death_left_without_content_is_removed(delivery, spool, taker):
    spool.prepare("empty", b"").happened()
    delivery.look()
    assert (taker.got, spool.waiting()) == ([], [])


def test_a_death_before_what_was_taken_is_removed_sends_it_again(spool, taker, monkeypatch):
    happen(spool, "a")

    class Death(BaseException):
        pass

    def die(*_args, **_more):
        raise Death

    with monkeypatch.context() as patched:
        patched.setattr(type(spool.folder), "unlink", die)
        with pytest.raises(Death):
            Delivery("events_url", spool, taker).look()
    Delivery("events_url", Spool(spool.folder, 100), taker).look()
    assert taker.got == [("a", b"a")] * 2


def test_who_comes_later_leaves_the_work_to_who_is_at_it(delivery, spool, taker):
    happen(spool, "a")
    other = Spool(spool.folder, 100)
    assert other.lead()
    assert delivery.look() == 0
    other.leave()
    assert delivery.look() == 1


def test_who_could_deliver_all_leaves_the_next_to_anybody(delivery, another, spool, taker):
    happen(spool, "a")
    assert delivery.look() == 1
    happen(spool, "b")
    assert another.look() == 1
    happen(spool, "c")
    assert delivery.look() == 1


@pytest.mark.parametrize("refuses", [True, False])
def test_who_could_not_deliver_goes_on_alone_until_all_was_taken(
    delivery, another, taker, caplog, refuses, monkeypatch
):
    happen(delivery.spool, "a")
    taker.broken, taker.refuses = not refuses, {b"a"}
    for _ in range(3):
        delivery.look()
        assert (another.look(), another.pause_s()) == (0, module.LOOK_S)
    what = "an event is refused: answered 400 (a.json)" if refuses else "events wait: broken"
    assert set(caplog.messages) == {f"events_url: {what}"}  # nothing of the other
    assert len(caplog.messages) == (1 if refuses else 3)
    taker.broken, taker.refuses = False, set()
    later = time.monotonic() + module.LAST_PAUSE_S
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert another.look() == 0
    assert delivery.look() == 1
    happen(delivery.spool, "b")
    assert another.look() == 1


def test_who_ends_leaves_it_to_another(delivery, another, spool, taker, monkeypatch):
    happen(spool, "a")
    taker.broken = True
    thread = threading.Thread(target=delivery.work)
    thread.start()
    wait(lambda: delivery.pause_s() != module.LOOK_S)
    taker.broken = False
    assert another.look() == 0
    delivery.end()
    thread.join(10)
    assert not thread.is_alive()
    assert another.look() == 1


def test_what_a_node_left_another_delivers(delivery, taker, tmp_path):
    other = Spool(tmp_path / "webhook" / "other", 100)
    happen(other, "a")
    assert other.lead()  # it lives
    other.leave()
    delivery.look()
    assert taker.got == []
    os.utime(other.folder / "lock", (time.time() - LEFT_S - 1,) * 2)
    delivery._looked = float("-inf")
    assert delivery.look() == 1


def test_events_go_to_a_file_and_to_a_url(tmp_path, receiver):
    file = tmp_path / "events.jsonl"
    events = Events(tmp_path / "spool", file=str(file), webhook=Webhook(receiver.url, 5))
    with events.about(event()):
        assert receiver.got == []
    events.start()
    wait(lambda: receiver.got and file.exists() and file.read_bytes().endswith(b"\n"))
    events.end()
    assert receiver.got == [file.read_bytes().rstrip()]
    assert json.loads(receiver.got[0])["Records"][0]["eventName"] == "ObjectRestore:Post"


def test_nobody_is_told_of_what_did_not_happen(tmp_path):
    events = Events(tmp_path / "spool", file=str(tmp_path / "events"))
    with pytest.raises(ZeroDivisionError), events.about(event()):
        raise ZeroDivisionError
    (delivery,) = events.deliveries
    assert delivery.look() == 0
    assert os.listdir(delivery.spool.folder) in ([], ["lock"])


def test_nothing_is_done_when_an_event_cannot_be_kept(tmp_path, receiver):
    hook = Webhook(receiver.url, 5)
    events = Events(tmp_path / "spool", most=1, file=str(tmp_path / "f"), webhook=hook)
    with events.about(event()):
        pass
    file, webhook = events.deliveries
    file.look()
    file.spool._counted = float("-inf")
    with pytest.raises(OSError, match="wait"), events.about(event(key="other")):
        pytest.fail("done")
    assert (len(file.spool.waiting()), len(webhook.spool.waiting())) == (0, 1)


def test_events_survive_a_restart_and_a_receiver_that_was_away(tmp_path):
    with receiving() as gone:
        url, port = gone.url, gone.port
    first = Events(tmp_path / "spool", webhook=Webhook(url, 5))
    keys = [f"key{number}" for number in range(5)]
    for key in keys:
        with first.about(event(key=key)):
            pass
    assert first.deliveries[0].look() == 0
    first.deliveries[0].spool.leave()  # its process ends
    with receiving(port) as receiver:
        again = Events(tmp_path / "spool", webhook=Webhook(url, 5))
        assert again.deliveries[0].look() == 5
    told = [json.loads(body)["Records"][0]["s3"]["object"]["key"] for body in receiver.got]
    assert told == keys


@pytest.mark.parametrize("error", [OSError("no such device"), RuntimeError("no such device")])
def test_a_thread_goes_on_whatever_goes_wrong(delivery, monkeypatch, caplog, error):
    looks = []

    def broken():
        looks.append(1)
        if len(looks) == 3:
            delivery.end()
        raise error

    monkeypatch.setattr(delivery, "look", broken)
    monkeypatch.setattr(module, "LAST_PAUSE_S", 0.01)
    delivery.work()
    assert len(looks) == 3
    assert "no such device" in caplog.text


def test_who_is_long_at_it_says_so(delivery, spool, taker, monkeypatch):
    happen(spool, "a", "b")
    beats = []
    real = Spool.refresh
    monkeypatch.setattr(Spool, "refresh", lambda self: (beats.append(len(taker.got)), real(self)))
    delivery.look()
    assert beats == [0, 0, 1]


def test_who_has_nothing_to_deliver_writes_nothing(delivery, spool):
    happen(spool, "a")
    delivery.look()
    lock = spool.folder / "lock"
    os.utime(lock, (1, 1))
    delivery.look()
    assert lock.stat().st_mtime == 1


def wait(until):
    limit = time.monotonic() + 10
    while not until():
        assert time.monotonic() < limit
        time.sleep(0.01)
