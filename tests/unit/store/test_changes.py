"""Changes of inodes against a model of nodes with transactions, of which nothing may be missed."""

import errno
import os

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from s3filters.store import scoutfs
from s3filters.store.changes import Changes
from s3filters.store.scoutfs import Position

FD = 7


class Cluster:
    """Some nodes, each with an open transaction, and inodes that they change.

    ``versions`` counts the changes of each inode; ``meanwhile`` holds what is to happen before the
    next calls of the kernel; ``error`` is what they fail with.
    """

    def __init__(self, nodes=1):
        self.last = 10
        self.versions = {}
        self.seqs = {}
        self.asked = []
        self.meanwhile = []
        self.error = None
        self._open = {}
        for node in range(nodes):
            self.commit(node)

    def commit(self, node=0):
        self.last += 1
        self._open[node] = self.last

    def change(self, *inodes, node=0):
        for inode in inodes:
            self.versions[inode] = self.versions.get(inode, 0) + 1
            self.seqs[inode] = self._open[node]

    @property
    def stable(self):
        return min(self._open.values()) - 1

    def committed_seq(self, fd):
        self._asked(fd, "committed_seq")
        return self.stable

    def walk(self, fd, index, first, most):
        assert (index, most > 0) == (scoutfs.META_SEQ, True)
        self._asked(fd, "walk")
        entries = sorted(Position(seq, 0, inode) for inode, seq in self.seqs.items())
        return [each for each in entries if first <= each and each.seq <= self.stable][:most]

    def _asked(self, fd, call):
        assert fd == FD
        self.asked.append(call)
        if self.meanwhile:
            self.meanwhile.pop(0)()
        if self.error is not None:
            raise OSError(self.error, "no")


@pytest.fixture
def cluster(monkeypatch):
    return installed(monkeypatch, Cluster())


def installed(monkeypatch, cluster):
    monkeypatch.setattr(scoutfs, "walk", cluster.walk)
    monkeypatch.setattr(scoutfs, "committed_seq", cluster.committed_seq)
    return cluster


def begun(**options):
    changes = Changes(FD, **options)
    changes.begin()
    return changes


def test_whoever_asks_for_the_first_time_has_to_look_at_everything(cluster):
    changes = Changes(FD)
    assert changes.since(10) is None
    cluster.change(1)
    cluster.commit()
    assert changes.since(10) == {1}


def test_what_changed_before_the_mark_is_not_told(cluster):
    cluster.change(1, 2)
    cluster.commit()
    changes = begun()
    cluster.change(2, 3)
    cluster.commit()
    assert changes.since(10) == {2, 3}


def test_what_was_told_is_not_told_again_until_it_changes_again(cluster):
    changes = begun()
    cluster.change(1, 2)
    cluster.commit()
    assert changes.since(10) == {1, 2}
    assert changes.since(10) == set()
    cluster.change(1)
    cluster.commit()
    assert changes.since(10) == {1}


def test_what_was_changed_and_not_committed_before_the_mark_is_told_when_it_is(cluster):
    cluster.change(1)
    changes = begun()
    assert changes.since(10) == set()
    cluster.commit()
    assert changes.since(10) == {1}


def test_a_change_that_another_nodes_transaction_holds_back_is_told_later(monkeypatch):
    cluster = installed(monkeypatch, Cluster(nodes=2))
    changes = begun()
    cluster.change(1, node=0)
    cluster.change(2, node=1)
    cluster.commit(1)
    assert changes.since(10) == set()
    cluster.commit(0)
    assert changes.since(10) == {1, 2}


def test_a_file_whose_sequence_falls_since_another_node_changed_it_is_told(monkeypatch):
    cluster = installed(monkeypatch, Cluster(nodes=2))
    cluster.commit(0)
    changes = begun()
    cluster.change(1, node=0)
    before = cluster.seqs[1]
    cluster.change(1, node=1)
    assert cluster.seqs[1] < before
    cluster.commit(0)
    assert changes.since(10) == set()
    cluster.commit(1)
    assert changes.since(10) == {1}


@pytest.mark.parametrize("call", [1, 2, 3, 4, 5, 6, 100])
def test_nothing_is_lost_between_two_calls_of_the_kernel(cluster, call):
    changes = begun(call=call)
    for batch in ((5, 6, 7), (1, 2), (3,)):
        cluster.change(*batch)
        cluster.commit()
    assert changes.since(6) == {1, 2, 3, 5, 6, 7}
    assert changes.since(6) == set()


@pytest.mark.parametrize("call", [1, 2, 100])
@pytest.mark.parametrize("most", [0, 1, 4])
def test_one_more_than_the_most_means_everything_from_here_on(cluster, most, call):
    changes = begun(call=call)
    cluster.change(*range(most + 1))
    cluster.commit()
    assert changes.since(most) is None
    assert changes.since(most) == set()
    cluster.change(*range(most))
    cluster.commit()
    assert changes.since(most) == set(range(most))


def test_a_change_made_while_the_mark_is_set_anew_is_told(cluster):
    changes = begun()
    cluster.change(1, 2)
    cluster.commit()
    cluster.meanwhile = [lambda: None, lambda: cluster.change(9)]
    assert changes.since(1) is None
    cluster.commit()
    assert changes.since(1) == {9}


def test_of_many_changes_those_can_be_told_that_somebody_knows(cluster):
    changes = begun(call=10)
    cluster.change(*range(100))
    cluster.commit()
    assert changes.since(100, among={7: "name", 93: "name", 100: "name"}) == {7, 93}
    cluster.change(*range(100))
    cluster.commit()
    assert changes.since(99, among=()) is None  # all the same they are too many to read


def test_asking_costs_one_call_where_little_changed(cluster):
    changes = begun()
    cluster.asked.clear()
    assert changes.since(10_000) == set()
    cluster.change(*range(100))
    cluster.commit()
    changes.since(10_000)
    assert cluster.asked == ["walk", "walk"]


def test_asking_costs_no_more_than_what_was_asked_for_however_much_changed(cluster):
    changes = begun(call=10)
    cluster.change(*range(1000))
    cluster.commit()
    cluster.asked.clear()
    assert changes.since(25) is None
    assert cluster.asked == ["walk"] * 3 + ["committed_seq"]


def test_a_file_that_changes_all_the_time_does_not_keep_the_walk_going(cluster):
    def again():
        cluster.change(1)
        cluster.commit()
        cluster.meanwhile.append(again)

    changes = begun(call=1)
    cluster.meanwhile = [again]
    assert changes.since(5) is None


def test_whoever_could_not_look_forgets_and_looks_at_everything_next_time(cluster):
    changes = begun()
    cluster.change(1)
    cluster.commit()
    assert changes.since(10) == {1}
    changes.forget()
    assert changes.since(10) is None
    assert changes.since(10) == set()


@pytest.mark.parametrize("number", [errno.ENOTTY, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
@pytest.mark.parametrize("begins", [True, False])
def test_where_changes_cannot_be_told_this_is_found_out_once(cluster, number, begins):
    changes = begun() if begins else Changes(FD)
    assert changes.known
    cluster.asked.clear()
    cluster.error = number
    assert [changes.since(10), changes.since(10)] == [None, None]
    changes.begin()
    assert not changes.known
    assert len(cluster.asked) == 1


def test_a_failed_call_loses_nothing(cluster):
    changes = begun(call=1)
    cluster.change(1, 2)
    cluster.commit()
    cluster.meanwhile = [lambda: None, lambda: setattr(cluster, "error", errno.EIO)]
    with pytest.raises(OSError, match="no"):
        changes.since(10)
    cluster.error = None
    assert changes.since(10) == {1, 2}


def test_a_mark_that_could_not_be_set_is_none(cluster):
    changes = begun()
    cluster.error = errno.EIO
    with pytest.raises(OSError, match="no"):
        changes.begin()
    cluster.error = None
    assert changes.since(10) is None
    assert changes.known


def test_elsewhere_than_on_scoutfs_everything_is_to_be_looked_at(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        changes = Changes(fd)
        assert changes.since(10) is None
        assert not changes.known
    finally:
        os.close(fd)


NODES = st.integers(0, 2)
INODES = st.integers(1, 8)


class Watched(RuleBasedStateMachine):
    """Somebody who keeps up with what nodes do, in any order, also during each call.

    ``seen`` holds the version of each inode when it was looked at last.
    """

    @initialize(call=st.integers(1, 4))
    def begin(self, call):
        self.cluster = Cluster(nodes=3)
        self.patch = pytest.MonkeyPatch()
        installed(self.patch, self.cluster)
        self.changes = Changes(FD, call=call)
        self.seen = {}

    def teardown(self):
        self.patch.undo()

    @rule(inode=INODES, node=NODES)
    def change(self, inode, node):
        self.cluster.change(inode, node=node)

    @rule(node=NODES)
    def commit(self, node):
        self.cluster.commit(node)

    @rule(inode=INODES)
    def remove(self, inode):
        for known in (self.cluster.seqs, self.cluster.versions, self.seen):
            known.pop(inode, None)

    @rule(inode=INODES, node=NODES, calls=st.integers(0, 3), commits=st.booleans())
    def happen_during_a_call(self, inode, node, calls, commits):
        def happen():
            self.cluster.change(inode, node=node)
            if commits:
                self.cluster.commit(node)

        self.cluster.meanwhile = [*[lambda: None] * calls, happen]

    @rule()
    def forget(self):
        self.changes.forget()

    @rule(most=st.integers(0, 6))
    def look(self, most):
        stable = self.cluster.stable
        told = self.changes.since(most)
        assert told is None or len(told) <= most
        versions = self.cluster.versions
        self.seen |= {i: versions[i] for i in (versions if told is None else told & set(versions))}
        for inode, seq in self.cluster.seqs.items():
            assert seq > stable or self.seen.get(inode) == versions[inode]

    @invariant()
    def nothing_is_missed(self):
        """Whatever was not seen is behind the mark, or there is none."""
        mark = self.changes._mark if hasattr(self, "changes") else None
        if mark is not None:
            for inode, seq in self.cluster.seqs.items():
                seen = self.seen.get(inode) == self.cluster.versions[inode]
                assert seen or Position(seq, 0, inode) >= mark


TestWatched = Watched.TestCase
