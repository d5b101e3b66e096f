"""Real S3 clients against the running daemon: clients times scenarios, as a table.

What a client uploads must be the bytes on the disk under the very name, and come back through the
same client. The disk is looked at directly, so two mistakes cannot cancel each other.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import Scene

pytestmark = pytest.mark.client

SIZES = {"empty": 0, "1 byte": 1, "5 MiB less 1": 5 * 2**20 - 1, "64 MiB": 64 * 2**20}
KEYS = {
    "plain": "plain.bin",
    "spaces": " a b/ c  d .txt",
    "plus": "a+b/c+ d.txt",
    "percent": "100%/%41%2F%zz.txt",
    "unicode": "ünï/日本語/😀.txt",
    "decomposed": "e\u0301/a\u030a.txt",
    "punctuation": "!-_.'()/&$@=;:,~.txt",
    "globs": "a*b?c[d].txt",
    "markup": "<a>&amp;\"'`.txt",
    "braces": "#{a}|^~.txt",
    "backslash": "a\\b.txt",
    "1000 bytes": "/".join(("k" * 249,) * 4) + "k",
}
LONG_AGO = 1_600_000_000
FILES = 1_003  # in one bucket: more than a page of a listing

# What a client cannot do, whatever the server: never the server's fault, so each needs its reason.
CANNOT = {
    ("curl", "pages"): "curl asks for one page",
    ("s3cmd", "globs"): "s3cmd takes * and ? of a remote name for wildcards",
}


def cannot(scene: Scene, scenario: str) -> None:
    reason = CANNOT.get((scene.name, scenario))
    if reason:
        pytest.skip(reason)


@pytest.mark.parametrize("size", SIZES)
def test_an_object_of_any_size_comes_back_as_it_went(
    scene: Scene, size: str, sized: Callable[[int], Path], tmp_path: Path
) -> None:
    cannot(scene, size)
    source, back = sized(SIZES[size]), tmp_path / "back"
    key = f"size-{SIZES[size]}.bin"
    scene.client.upload(source, scene.bucket, key)
    assert filecmp.cmp(source, scene.on_disk(key), shallow=False)
    scene.client.download(scene.bucket, key, back)
    assert filecmp.cmp(source, back, shallow=False)
    scene.client.delete(scene.bucket, key)
    assert not scene.on_disk(key).exists()


@pytest.mark.parametrize("name", KEYS)
def test_an_odd_key_means_the_same_to_the_client_and_on_disk(
    scene: Scene, name: str, sized: Callable[[int], Path], tmp_path: Path
) -> None:
    cannot(scene, name)
    key, source, back = KEYS[name], sized(777), tmp_path / "back"
    target = f"copies/{key[:-4]}"
    scene.client.upload(source, scene.bucket, key)
    assert filecmp.cmp(source, scene.on_disk(key), shallow=False)
    scene.client.copy(scene.bucket, key, target)
    assert filecmp.cmp(source, scene.on_disk(target), shallow=False)
    scene.client.download(scene.bucket, key, back)
    assert filecmp.cmp(source, back, shallow=False)
    scene.client.delete(scene.bucket, key)
    assert not scene.on_disk(key).exists()
    assert scene.on_disk(target).exists()


def test_a_listing_has_every_key_once_with_its_size(scene: Scene) -> None:
    expected = {f"many/{number:04}": number % 3 for number in range(FILES)}
    expected |= dict.fromkeys(KEYS.values(), 1)
    bucket = f"{scene.bucket}-listed"
    for key, size in expected.items():
        path = scene.daemon.root / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    found = scene.client.list(bucket)
    if (scene.name, "pages") in CANNOT:
        expected = {key: expected[key] for key in sorted(expected)[:1000]}
    assert found == expected


def test_a_folder_is_synced_up_and_down_and_not_sent_twice(scene: Scene, tmp_path: Path) -> None:
    if not scene.client.has("sync"):
        pytest.skip("the client has no sync")
    folder, back = tmp_path / "folder", tmp_path / "back"
    for name in ("a.txt", "deep/er/b +%.txt", "deep/ü.txt", "empty"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name if name != "empty" else "")
        os.utime(folder / name, (LONG_AGO, LONG_AGO))  # LastModified has no fractions of a second
    back.mkdir()

    scene.client.sync(folder, scene.bucket, "synced")
    stored = scene.on_disk("synced")
    assert names(stored) == names(folder)
    before = {name: (stored / name).stat().st_ino for name in names(folder)}
    scene.client.sync(folder, scene.bucket, "synced")
    assert {name: (stored / name).stat().st_ino for name in names(folder)} == before

    (folder / "a.txt").unlink()
    (folder / "empty").write_text("no more")
    scene.client.sync(folder, scene.bucket, "synced")
    assert names(stored) == names(folder)
    scene.client.fetch(scene.bucket, "synced", back)
    assert {name: (back / name).read_bytes() for name in names(back)} == {
        name: (folder / name).read_bytes() for name in names(folder)
    }


def test_a_bucket_is_made_and_dropped(scene: Scene) -> None:
    bucket = f"{scene.bucket}-made"
    scene.client.make(bucket)
    assert (scene.daemon.root / bucket).is_dir()
    scene.client.drop(bucket)
    assert not (scene.daemon.root / bucket).exists()


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
