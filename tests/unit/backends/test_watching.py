"""Which objects are looked at: those that changed, and are due, and all when that is not known."""

import time

import pytest

from s3filters.backends.fs import watching
from s3filters.backends.fs.watching import Known, Memory

NEVER = float("inf")
ONE, TWO, THREE = ("box", "one"), ("box", "two"), ("box", "three")


class Changes:
    """Stands for ScoutFS's index: ``changed`` is told once, None when it is too much."""

    def __init__(self):
        self.changed = set()
        self.asked = []
        self.begun = 0

    def begin(self):
        self.begun += 1

    def since(self, most, among):
        self.asked.append(most)
        changed, self.changed = self.changed, set()
        return None if changed is None else {ino for ino in changed if ino in among}


@pytest.fixture
def changes():
    return Changes()


@pytest.fixture
def memory(changes):
    memory = Memory(changes)
    assert memory.due() is None
    for number, name in enumerate((ONE, TWO, THREE), 1):
        memory.put(name, Known(number, NEVER))
    return memory


def test_at_first_all_are_looked_at_and_the_mark_is_set_before(changes):
    memory = Memory(changes)
    assert memory.due() is None
    assert (changes.begun, changes.asked) == (1, [])


def test_what_did_not_change_is_not_looked_at(memory, changes):
    assert memory.due() == set()
    changes.changed = {2, 77}
    assert memory.due() == {TWO}


def test_what_has_a_date_that_came_is_looked_at(memory):
    memory.put(ONE, Known(1, time.time() - 1))
    memory.put(TWO, Known(2, time.time() + 1000))
    assert memory.due() == {ONE}


def test_what_was_announced_is_looked_at_once(memory):
    memory.announce(THREE)
    memory.announce(("box", "new"))
    assert memory.due() == {THREE, ("box", "new")}
    assert memory.due() == set()


def test_what_is_announced_is_not_forgotten_when_all_are_looked_at(memory, changes):
    changes.changed = None
    memory.announce(THREE)
    assert memory.due() is None


def test_where_too_much_changed_all_are_looked_at_and_known_anew(memory, changes):
    changes.changed = None
    assert memory.due() is None
    assert (len(memory), changes.begun) == (0, 2)
    assert memory.due() == set()


def test_after_an_hour_all_are_looked_at(memory, changes, monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr(watching.time, "monotonic", lambda: now + watching.ALL_S + 1)
    assert memory.due() is None
    assert changes.begun == 2


def test_a_look_that_failed_is_followed_by_one_at_all(memory):
    memory.forget()
    assert memory.due() is None


def test_of_another_inode_at_the_name_the_new_one_counts(memory, changes):
    memory.put(ONE, Known(9, NEVER))
    changes.changed = {1}
    assert memory.due() == set()
    changes.changed = {9}
    assert memory.due() == {ONE}


def test_what_is_not_known_any_more_is_not_looked_at(memory, changes):
    memory.put(ONE, None)
    memory.put(("box", "never known"), None)
    changes.changed = {1}
    assert memory.due() == set()


def test_nothing_is_asked_where_nothing_is_waited_for(memory, changes):
    for name in (ONE, TWO, THREE):
        memory.put(name, None)
    assert memory.due() == set()
    assert changes.asked == []


def test_what_the_index_may_cost_follows_what_is_waited_for(memory, changes):
    memory.due()
    assert changes.asked == [watching.INDEX_AT_LEAST + 3 * watching.INDEX_PER_OBJECT]
