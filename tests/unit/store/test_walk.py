"""Pages of keys against the sorted list of keys, and what a tree holds besides objects."""

import gc
import logging
import os
import resource
import shutil
import stat
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.store import errors, look, scan, walk
from s3filters.store.tree import Tree


@pytest.fixture(autouse=True)
def no_witnesses():
    look._witnesses.clear()


@pytest.fixture
def bucket(tmp_path):
    return Bucket(tmp_path)


class Bucket:
    """A bucket called ``box``; keys that end in ``/`` are made as directory objects."""

    def __init__(self, root, *keys):
        self.path = root / "box"
        self.path.mkdir()
        self.tree = Tree(root)
        self.put(*keys)

    def put(self, *keys):
        for key in keys:
            path = self.path / key
            if key.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                os.setxattr(path, "user.etag", b'"d41d8cd98f00b204e9800998ecf8427e"')
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(key.encode())

    def page(self, prefix="", delimiter="", after="", limit=1000):
        found = walk.page(self.tree, "box", prefix, delimiter, after, limit)
        return [entry.key for entry in found.entries], found.prefixes, found.truncated

    def keys(self, prefix="", delimiter="", after=""):
        return self.page(prefix, delimiter, after, 10**6)[0]

    def in_memory(self, *asked):
        return [entry.key for entry in walk.page_in_memory(self.tree, "box", *asked).entries]


def listed(keys, prefix, delimiter):
    """What S3 lists: each key, or the common prefix that stands for it; in order, with its kind."""
    items = set()
    for key in keys:
        if key.startswith(prefix):
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            items.add((key, "key") if at < 0 else (key[: at + len(delimiter)], "prefix"))
    return sorted(items)


def as_items(page):
    entries, prefixes, _ = page
    return sorted([(key, "key") for key in entries] + [(prefix, "prefix") for prefix in prefixes])


# A small alphabet so that keys meet; "-" and "." sort before "/", "0" and "é" behind it.
COMPONENT = st.text("ab-.0é", min_size=1, max_size=3).filter(lambda name: name.strip("."))
KEYS = st.sets(
    st.tuples(st.lists(COMPONENT, min_size=1, max_size=4), st.sampled_from(["", "", "", "/"])).map(
        lambda parts: "/".join(parts[0]) + parts[1]
    ),
    max_size=25,
)
SOME_TEXT = st.text("ab-./0é\U0010ffff", max_size=5)


def without_conflicts(keys):
    """Leave out keys that cannot stand beside others in a tree of files."""
    there = set()
    for key in sorted(keys):
        above = key.rstrip("/").split("/")
        if any("/".join(above[:n]) in there for n in range(1, len(above) + 1)):
            continue
        there.add(key)
    return there


@given(KEYS, SOME_TEXT, st.sampled_from(["", "/", "a", "-", "/a", "b/", "a/b", "é"]), st.data())
def test_pages_are_pieces_of_the_sorted_keys(tmp_path_factory, keys, prefix, delimiter, data):
    keys = without_conflicts(keys)
    bucket = Bucket(tmp_path_factory.mktemp("walk"), *keys)
    try:
        items = listed(keys, prefix, delimiter)
        assert as_items(bucket.page(prefix, delimiter)) == items
        places = [*sorted(keys), *(name for name, _ in items), data.draw(SOME_TEXT)]
        for after in places:
            behind = [item for item in items if item[0] > after]
            assert as_items(bucket.page(prefix, delimiter, after)) == behind
            first = bucket.page(prefix, delimiter, after, 2)
            assert as_items(first) == behind[:2]
            assert first[2] is (len(behind) > 2)
    finally:
        bucket.tree.close()
        shutil.rmtree(bucket.path)


@given(KEYS, st.sampled_from(["", "/", "a", "b/"]), st.integers(1, 4))
def test_pages_joined_are_the_whole_listing(tmp_path_factory, keys, delimiter, limit):
    keys = without_conflicts(keys)
    bucket = Bucket(tmp_path_factory.mktemp("walk"), *keys)
    try:
        items, after, truncated = [], "", True
        while truncated:
            page = walk.page(bucket.tree, "box", "", delimiter, after, limit)
            items += [(e.key, "key") for e in page.entries] + [(p, "prefix") for p in page.prefixes]
            after, truncated = page.last, page.truncated
            assert len(page.entries) + len(page.prefixes) == limit or not truncated
        assert sorted(items) == listed(keys, "", delimiter)
    finally:
        bucket.tree.close()
        shutil.rmtree(bucket.path)


def test_keys_come_in_byte_order_not_in_directory_order(bucket):
    bucket.put("a/x", "a-b", "a.b", "a0", "a/", "A/b")
    assert bucket.keys() == ["A/b", "a-b", "a.b", "a/", "a/x", "a0"]


def test_a_page_of_no_keys_is_empty_and_not_truncated(bucket):
    bucket.put("a")
    assert bucket.page(limit=0) == ([], [], False)


def test_an_exactly_full_page_is_not_truncated(bucket):
    bucket.put("a", "b/c", "b/d")
    assert bucket.page(delimiter="/", limit=2) == (["a"], ["b/"], False)


def test_truncated_means_that_something_matching_follows(bucket):
    bucket.put("p/a", "p/b", "q/c")
    os.mkdir(bucket.path / "p/empty")
    assert bucket.page("p/", limit=2) == (["p/a", "p/b"], [], False)
    assert bucket.page("p/", "/", limit=2) == (["p/a", "p/b"], [], False)


def test_a_missing_bucket_is_no_such_bucket(bucket):
    with pytest.raises(errors.NoSuchBucket):
        walk.page(bucket.tree, "gone")


def test_a_missing_prefix_is_an_empty_page(bucket):
    bucket.put("a/b")
    for prefix in ("b", "b/", "a/b/", "a/c/d", "x" * 300 + "/", "a/" * 400, "\ud800/"):
        assert bucket.page(prefix) == ([], [], False)


@pytest.mark.parametrize(
    "prefix", ["../", "a/../", "./", "a/./", "//", "/", "a//", ".sgwtmp/", ".."]
)
def test_a_prefix_leads_nowhere_but_down(bucket, prefix):
    bucket.put("a/b", ".sgwtmp/x")
    (bucket.path.parent / "secret").write_bytes(b"")
    assert bucket.page(prefix) == ([], [], False)


def test_what_the_store_keeps_is_never_shown(bucket):
    bucket.put(".sgwtmp/multipart/x", "a/.sgwtmp/y", "a/b", "a/.b.sgwtmp.123", "c/.sgwtmp/z")
    assert bucket.keys() == ["a/b"]
    assert bucket.page(delimiter="/") == ([], ["a/"], False)
    assert bucket.keys(".sgwtmp/multipart/") == []


# Common prefixes


def test_a_directory_without_objects_is_no_prefix(bucket):
    os.makedirs(bucket.path / "empty/inner")
    os.makedirs(bucket.path / "fifo")
    os.mkfifo(bucket.path / "fifo/pipe")
    bucket.put("full/inner/x")
    assert bucket.page(delimiter="/") == ([], ["full/"], False)


def test_a_prefix_appears_and_goes_with_its_last_object(bucket):
    bucket.put("d/x")
    for _ in range(2):
        assert bucket.page(delimiter="/") == ([], ["d/"], False)
        os.unlink(bucket.path / "d/x")
        assert bucket.page(delimiter="/") == ([], [], False)
        bucket.put("d/x")


def test_a_remembered_witness_is_looked_at_again(bucket):
    bucket.put("d/x", "d/y", "d/z")
    time.sleep(0.05)
    for _ in range(2):
        assert bucket.page(delimiter="/")[1] == ["d/"]
    ((witness, _),) = look._witnesses.values()
    os.unlink(os.path.join(os.fsencode(bucket.path), b"d", witness))
    assert bucket.page(delimiter="/")[1] == ["d/"]
    for name in os.listdir(bucket.path / "d"):
        os.unlink(bucket.path / "d" / name)
        os.mkfifo(bucket.path / "d" / name)
    assert bucket.page(delimiter="/")[1] == []


def test_a_witness_may_lie_deep(bucket, monkeypatch):
    bucket.put("d/e/f/x", "d/g/y")
    time.sleep(0.05)
    bucket.page(delimiter="/")
    monkeypatch.setattr(look.Looks, "_search", None)
    assert bucket.page(delimiter="/")[1] == ["d/"]


def test_a_directory_object_is_a_prefix_and_within_itself_a_key(bucket):
    bucket.put("d/")
    assert bucket.page() == (["d/"], [], False)
    assert bucket.page(delimiter="/") == ([], ["d/"], False)
    assert bucket.page("d/", "/") == (["d/"], [], False)
    assert bucket.page("d", "") == (["d/"], [], False)
    assert bucket.page("d/", after="d/") == ([], [], False)


def test_a_tree_of_very_many_empty_directories_is_shown_unproven(bucket, monkeypatch):
    monkeypatch.setattr(look, "_PROBES", 10)
    for n in range(12):
        os.makedirs(bucket.path / f"d/{n}")
    assert bucket.page(delimiter="/") == ([], ["d/"], False)


def test_a_delimiter_may_span_directories(bucket):
    bucket.put("a/b/c", "a/b/d", "a/bb", "a/c", "x/a/b")
    assert bucket.page(delimiter="/b") == (["a/c"], ["a/b", "x/a/b"], False)
    assert bucket.page(delimiter="b/") == (["a/bb", "a/c", "x/a/b"], ["a/b/"], False)


def test_a_prefix_of_many_files_is_stepped_over(bucket):
    bucket.put(*(f"{group}-{n:03}" for group in "abc" for n in range(100)))
    assert bucket.page(delimiter="-") == ([], ["a-", "b-", "c-"], False)
    assert bucket.page(delimiter="-", after="a-") == ([], ["b-", "c-"], False)
    assert bucket.page(delimiter="-", after="a-050") == ([], ["b-", "c-"], False)


def test_the_greatest_character_has_something_behind_it(bucket):
    last = chr(0x10FFFF)
    bucket.put(last + "/a", last + last)
    assert bucket.page(delimiter=last) == ([], [last], False)
    assert bucket.page(delimiter=last, after=last) == ([], [], False)
    assert bucket.page(last, "/") == ([last + last], [last + "/"], False)


# Links and other guests


def test_links_to_files_inside_are_objects(bucket):
    bucket.put("dir/real", "other")
    (bucket.path / "dir/link").symlink_to("real")
    (bucket.path / "dir/up").symlink_to("../other")
    (bucket.path / "absolute").symlink_to(bucket.path / "other")
    assert bucket.keys() == ["absolute", "dir/link", "dir/real", "dir/up", "other"]


def test_links_that_lead_out_or_nowhere_are_none(bucket, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "file"
    outside.write_bytes(b"secret")
    (bucket.path / "out").symlink_to(outside)
    (bucket.path / "nowhere").symlink_to("missing")
    (bucket.path / "loop").symlink_to("loop")
    (bucket.path / "deep").mkdir()
    (bucket.path / "deep/out").symlink_to(outside)
    assert bucket.page() == ([], [], False)
    assert bucket.page(delimiter="/") == ([], [], False)


def test_links_to_directories_are_not_entered(bucket):
    bucket.put("dir/x")
    (bucket.path / "link").symlink_to("dir")
    (bucket.path / "up").symlink_to("..")
    assert bucket.keys() == ["dir/x"]
    assert bucket.page(delimiter="/") == ([], ["dir/"], False)
    assert bucket.keys("link/") == []


def test_fifos_and_sockets_are_no_objects(bucket):
    os.mkfifo(bucket.path / "fifo")
    os.mknod(bucket.path / "socket", stat.S_IFSOCK | 0o600)
    assert bucket.keys() == []


def test_a_delete_marker_is_no_object(bucket):
    bucket.put("a", "b", "d/only")
    for key in ("b", "d/only"):
        os.setxattr(bucket.path / key, "user.delete-marker", b"")
    assert bucket.page(delimiter="/") == (["a"], [], False)
    assert bucket.keys() == ["a"]


def test_a_file_whose_attributes_may_not_be_read_is_shown(bucket, monkeypatch):
    bucket.put("a")

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(bucket.tree, "record", refuse)
    (entry,) = walk.page(bucket.tree, "box").entries
    assert entry.key == "a"
    assert entry.record.size == 1
    assert entry.record.etag.endswith("-0")


def test_keys_over_1024_bytes_are_left_out(bucket):
    long = "/".join(["é" * 100] * 5)  # 1,004 bytes
    bucket.put(f"{long}/" + "x" * 19, f"{long}/" + "y" * 20, f"{long}/d/" + "z" * 30)
    assert bucket.keys() == [f"{long}/" + "x" * 19]


def test_a_name_that_became_another_kind_is_judged_anew(bucket):
    bucket.put("a", "b/c", "z")
    time.sleep(0.05)
    assert bucket.keys() == ["a", "b/c", "z"]
    os.unlink(bucket.path / "a")
    os.mkdir(bucket.path / "a")
    shutil.rmtree(bucket.path / "b")
    bucket.put("b", "a/d")
    assert bucket.keys() == ["a/d", "b", "z"]


def test_directories_that_vanish_during_the_walk_are_passed_over(bucket):
    bucket.put("a/1", "a/2", "b/1", "c")
    way = walk._Walk(bucket.tree, "box", ("", "", ""), cached=False)
    try:
        items = way.items()
        assert next(items)[0] == "a/1"
        shutil.rmtree(bucket.path / "a")
        shutil.rmtree(bucket.path / "b")
        assert [key for key, _ in items] == ["c"]
    finally:
        way.close()


def test_a_level_that_vanishes_while_it_is_closed_is_left(bucket, monkeypatch):
    monkeypatch.setattr(walk, "_HELD", 1)
    bucket.put("a/b/c/1", "a/b/c/2", "a/b/d", "a/b/e", "z")
    way = walk._Walk(bucket.tree, "box", ("", "", ""), cached=False)
    try:
        items = way.items()
        assert next(items)[0] == "a/b/c/1"
        os.rename(bucket.path / "a", bucket.path / "y")
        assert [key for key, _ in items] == ["a/b/c/2", "z"]
    finally:
        way.close()


def test_a_tree_of_400_levels_needs_few_descriptors(bucket):
    fd = os.open(bucket.path, os.O_RDONLY)
    for _ in range(400):
        os.mkdir("d", dir_fd=fd)
        os.mknod("f", 0o100644, dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.mknod("x", 0o100644, dir_fd=fd)
    os.close(fd)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    gc.collect()  # what other tests left open would be closed at any time from here
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + walk._HELD + 8, before[1]))
    try:
        keys = bucket.keys()
        prefixes = bucket.page(delimiter="/")[1]
        in_the_middle = bucket.keys(after="d/" * 200)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len(keys) == 401
    assert keys == sorted(keys)
    assert prefixes == ["d/"]
    assert in_the_middle == [key for key in keys if key > "d/" * 200]
    assert len(os.listdir("/proc/self/fd")) == used


# In memory


def test_a_page_is_in_memory_once_its_directories_are_known(bucket):
    bucket.put("a", "b/c", "d/e")
    time.sleep(0.05)
    with pytest.raises(errors.WouldBlock):
        bucket.in_memory()
    bucket.keys()
    assert bucket.in_memory() == ["a", "b/c", "d/e"]
    bucket.put("b/d")
    with pytest.raises(errors.WouldBlock):
        bucket.in_memory()


def test_a_page_of_objects_that_are_not_known_is_not_in_memory(bucket):
    bucket.put(*(f"{n:03}" for n in range(100)))
    time.sleep(0.05)
    bucket.tree.names.read(bucket.tree.open_bucket("box"))
    with pytest.raises(errors.WouldBlock):
        bucket.in_memory()


def test_pages_from_memory_read_no_directory(bucket, monkeypatch):
    bucket.put("a/b", "c")
    time.sleep(0.05)
    bucket.keys()
    bucket.page(delimiter="/")
    monkeypatch.setattr(scan, "_getdents", None)
    assert bucket.keys() == ["a/b", "c"]
    assert bucket.page(delimiter="/") == (["c"], ["a/"], False)


def test_a_change_behind_the_gateway_is_in_the_next_page(bucket):
    bucket.put("d/a")
    time.sleep(0.05)
    bucket.keys()
    for n in range(200):
        path = bucket.path / "d" / f"{n:03}"
        path.write_bytes(b"x" * n)
        entries = walk.page(bucket.tree, "box", "d/").entries
        assert [e.record.size for e in entries if e.key == f"d/{n:03}"] == [n]
        if n % 2:
            os.unlink(path)
            assert f"d/{n:03}" not in bucket.keys("d/")


@pytest.mark.parametrize("call", ["open", "stat"])
def test_a_folder_that_may_not_be_read_is_left_out_and_said_once(bucket, monkeypatch, caplog, call):
    walk._forbidden.clear()
    for key in ("a", "secret/file", "z"):
        bucket.put(key)
    real = getattr(os, call)

    def refuse(name, *args, dir_fd=None, **how):
        wanted = b"secret" if call == "open" else b"file"
        if name == wanted:
            raise PermissionError(13, "not yours")
        return real(name, *args, dir_fd=dir_fd, **how)

    monkeypatch.setattr(os, call, refuse)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert bucket.keys() == ["a", "z"]
    assert caplog.messages == ["Listings leave out box/secret/, which may not be read."]
    assert bucket.page("", "/")[1] == ["secret/"]
