"""``s3filters uploads``: what is in progress, what it holds, and its end."""

import hashlib
import itertools
import json
import os
import time

import pytest

from s3filters.backends.fs import upkeep
from s3filters.commands import amounts, main, uploads
from s3filters.store import Store, filesystem, locks
from s3filters.store.uploads import Upload, path_of
from tests import versity

DAY_NS = 86400 * 10**9
PART = 100_000


@pytest.fixture
def store(tmp_path):
    (tmp_path / "root").mkdir()
    made = Store(tmp_path / "root", durability="none", placement="files")
    for bucket in ("box", "other"):
        made.create_bucket(bucket, "me")
    yield made
    made.close()


@pytest.fixture
def begin(store):
    numbers = itertools.count(1)

    def begin(bucket="box", key="key", days=0, parts=0, used_s=None):
        upload_id = f"00000000-0000-4000-8000-{next(numbers):012d}"
        upload = Upload(bucket, key, upload_id, time.time_ns() - days * DAY_NS)
        store.create_upload(upload)
        for number in range(1, parts + 1):
            draft = store.part(upload, number, PART)
            draft.write(b"x" * PART)
            draft.commit("0" * 32, "CRC64NVME", "AAAAAAAAAAA=")
        folder = f"/proc/self/fd/{store.root.fd}/{os.fsdecode(path_of(bucket, key, upload_id))}"
        used = time.time() - (days * 86400 if used_s is None else used_s)
        os.utime(folder, (used, used))
        return upload_id

    return begin


@pytest.fixture
def run(tmp_path, capsys):
    def run(*words):
        code = main.main(["uploads", *words, "--root", str(tmp_path / "root")])
        return code, *capsys.readouterr()

    return run


def ids(store):
    return sorted(each.id for bucket in ("box", "other") for each in store.uploads(bucket))


# list --------------------------------------------------------------------------------------------


def test_without_uploads_the_list_says_so(run, store):
    assert run("list") == (0, "No uploads are in progress.\n", "")


def test_the_list_has_a_line_for_each_and_a_total(run, begin):
    upload_id = begin(key="a/b c", days=13, parts=2)
    begin(bucket="other")
    code, out, err = run("list")
    head, *lines, total = out.splitlines()
    assert (code, err) == (0, "")
    assert " ".join(head.split()) == "AGE INITIATED PARTS BYTES ON DISK UPLOAD ID BUCKET/KEY"
    (line,) = [line for line in lines if "a/b c" in line]
    assert line.split()[0] == "13d"
    assert line.split()[2:5] == ["2", "195.3", "KiB"]
    assert line.endswith(f"{upload_id}  box/a/b c")
    assert total.startswith("Total: 2 uploads, 2 parts, 195.3 KiB, ")
    assert total.endswith(" on disk")


def test_the_list_as_json_has_exact_figures(run, begin, store):
    upload_id = begin(key="schön\n", days=2, parts=3)
    begin()
    _, out, _ = run("list", "--json", "--older-than", "1d")
    document = json.loads(out)
    (upload,) = document["uploads"]
    age = upload.pop("age_seconds")
    disk = upload.pop("disk_bytes")
    initiated = upload.pop("initiated")
    assert 2 * 86400 <= age < 2 * 86400 + 60
    assert 3 * PART <= disk <= 3 * PART + 3 * 8192
    assert initiated == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - age))
    assert upload == {
        "bucket": "box",
        "key": "schön\n",
        "id": upload_id,
        "parts": 3,
        "bytes": 3 * PART,
    }
    assert document["total"] == {
        "uploads": 1,
        "parts": 3,
        "bytes": 3 * PART,
        "disk_bytes": disk,
    }


def test_an_empty_list_is_json_too(run, store):
    assert json.loads(run("list", "--json")[1]) == {
        "uploads": [],
        "total": {"uploads": 0, "parts": 0, "bytes": 0, "disk_bytes": 0},
    }


def test_the_list_is_narrowed_by_bucket_prefix_and_age(run, begin):
    wanted = begin(key="a/1", days=8)
    begin(key="a/2", days=1)
    begin(key="b", days=8)
    begin(bucket="other", key="a/1", days=8)
    _, out, _ = run("list", "--bucket", "box", "--prefix", "a/", "--older-than", "1w")
    assert len(out.splitlines()) == 3
    assert wanted in out


def test_keys_cannot_write_to_the_terminal(run, begin):
    begin(key="a\x1b[2J\nb")
    _, out, _ = run("list")
    assert "box/a\\x1b[2J\\nb\n" in out


def test_an_upload_that_ends_while_it_is_listed_is_left_out(run, begin, store, monkeypatch):
    gone = begin()
    real = upkeep._look

    def look(store, upload):
        store.end_upload(upload.bucket, upload.key, upload.id)
        return real(store, upload)

    monkeypatch.setattr(upkeep, "_look", look)
    code, out, _ = run("list")
    assert code == 0
    assert gone not in out


def test_the_ini_says_where_the_uploads_are(begin, tmp_path, capsys):
    upload_id = begin()
    conf = tmp_path / "my.ini"
    conf.write_text(
        f"[DEFAULT]\nroot = {tmp_path}/root\n[app:main]\nuse = egg:s3filters#fs\n", "utf-8"
    )
    assert main.main(["uploads", "list", "--config", str(conf)]) == 0
    assert upload_id in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["list", "--bucket", "none"], 1, "The specified bucket does not exist"),
        (["abort"], 2, "say --older-than, or --bucket, --key and --id of one upload"),
        (["abort", "--id", "x"], 2, "to end one upload, say --bucket, --key and --id"),
        (["abort", "--bucket", "box", "--key", "k"], 2, "to end one upload, say --bucket"),
        (["abort", "--bucket", "box"], 2, "say --older-than, or"),
        (["abort", "--id", "x", "--older-than", "7d"], 2, "--older-than selects uploads"),
        (
            ["abort", "--bucket", "box", "--key", "k", "--id", "x", "--force"],
            2,
            "--force is for what --older-than selects",
        ),
        (
            ["abort", "--bucket", "box", "--key", "k", "--id", "x", "--prefix", "p"],
            2,
            "--prefix selects uploads",
        ),
        (
            ["abort", "--bucket", "box", "--key", "k", "--id", "../.."],
            1,
            "The specified upload does not exist.",
        ),
        (["abort", "--older-than", "7d"], 2, "say --yes, or --dry-run"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, store, words, code, said):
    found, out, err = run(*words)
    assert (found, out) == (code, "")
    assert err.startswith("s3filters: ")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"), [("3s", "3s"), ("90s", "90s"), ("5m", "5m"), ("47h", "47h"), ("2w", "14d")]
)
def test_an_age_is_said_in_its_largest_unit(text, said):
    assert uploads._brief(uploads._age(text)) == said


@pytest.mark.parametrize("age", ["7", "d", "-1d", "7y", "1.5d", ""])
def test_an_age_is_a_number_with_a_unit(run, store, age, capsys):
    with pytest.raises(SystemExit) as raised:
        run("list", f"--older-than={age}")
    assert raised.value.code == 2
    assert "--older-than: " in capsys.readouterr().err


def test_a_root_that_is_not_there_is_told_and_not_made(tmp_path, capsys):
    assert main.main(["uploads", "list", "--root", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == (
        f"s3filters: root {tmp_path}/none: No such file or directory\n"
    )
    assert not (tmp_path / "none").exists()


def test_who_names_no_root_is_told_how(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main.main(["uploads", "list"]) == 1
    assert capsys.readouterr().err == (
        "s3filters: root ./data: No such file or directory; say --root DIR or --conf INI\n"
    )


def test_a_root_that_cannot_hold_objects_is_told(tmp_path, capsys, monkeypatch):
    def inspect(_fd, path):
        raise filesystem.Unsuitable(f"{path} keeps no attributes")

    monkeypatch.setattr(filesystem, "inspect", inspect)
    assert main.main(["uploads", "list", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"s3filters: root {tmp_path}: {tmp_path} keeps no attributes\n"
    )


def test_an_ini_without_a_folder_has_no_uploads_here(tmp_path, capsys):
    conf = tmp_path / "my.ini"
    conf.write_text("[app:main]\nuse = egg:s3filters#upstream\n", "utf-8")
    assert main.main(["uploads", "list", "--config", str(conf)]) == 2
    assert "does not serve a folder" in capsys.readouterr().err


def test_where_the_kernel_refuses_is_told(run, begin, monkeypatch):
    begin()

    def refuse(_fd):
        raise PermissionError(13, "no")

    monkeypatch.setattr(upkeep.usage, "blocks", refuse)
    assert run("list")[2] == "s3filters: Access Denied (EACCES at 'box/key')\n"


# abort -------------------------------------------------------------------------------------------


def test_one_upload_is_ended_by_its_name(run, begin, store, tmp_path):
    wanted, other = begin(parts=2), begin()
    code, out, err = run("abort", "--bucket", "box", "--key", "key", "--id", wanted)
    assert (code, err) == (0, "")
    first, last = out.splitlines()
    assert first.startswith("Ended ")
    assert first.endswith(f"{wanted}  box/key")
    assert last.startswith("Ended 1 upload, 2")
    assert last.endswith(" KiB freed.")
    assert ids(store) == [other]
    (folder,) = (tmp_path / "root/box/.sgwtmp/multipart").iterdir()
    assert os.listdir(folder) == [other]


def test_old_uploads_are_ended_together(run, begin, store):
    young = [begin(days=6), begin(bucket="other")]
    old = [begin(days=8), begin(key="a", days=9), begin(bucket="other", days=10)]
    code, out, _ = run("abort", "--older-than", "7d", "--yes")
    assert code == 0
    assert all(each in out for each in old)
    assert "Ended 3 uploads, " in out
    assert ids(store) == young


def test_an_old_upload_that_is_in_use_is_left_alone(run, begin, store):
    used, idle = begin(days=8, used_s=3 * 3600), begin(days=8, used_s=25 * 3600)
    code, out, _ = run("abort", "--older-than", "7d", "--yes")
    assert code == 0
    *each, total = out.splitlines()
    ended, left = sorted(each)  # they come in no order
    assert left.startswith("Left, used 3h ago: ")
    assert left.endswith(f"{used}  box/key")
    assert idle in ended
    assert total.startswith("Ended 1 upload, ")
    assert ids(store) == [used]


def test_an_upload_counts_as_used_for_as_long_as_the_age_that_was_said_when_that_is_less(
    run, begin, store
):
    begin(days=1, used_s=2 * 3600)
    young = begin(days=1, used_s=1800)
    run("abort", "--older-than", "1h", "--yes")
    assert ids(store) == [young]


def test_by_force_uploads_in_use_are_ended_too(run, begin, store):
    begin(days=8, used_s=0)
    assert run("abort", "--older-than", "7d", "--yes", "--force")[0] == 0
    assert ids(store) == []


def test_a_dry_run_ends_nothing(run, begin, store):
    old = begin(days=8)
    code, out, _ = run("abort", "--older-than", "7d", "--dry-run")
    assert code == 0
    assert out.startswith("Would end ")
    assert out.endswith(" would be freed.\n")
    assert ids(store) == [old]


@pytest.mark.parametrize(
    ("answer", "ended"), [("y", True), ("YES ", True), ("", False), ("n", False)]
)
def test_several_are_ended_only_when_somebody_agrees(run, begin, store, monkeypatch, answer, ended):
    old = begin(days=8)
    asked = []
    monkeypatch.setattr(uploads.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda words: asked.append(words) or answer)
    code, out, _ = run("abort", "--older-than", "7d")
    assert asked == ["End 1 upload, 0 parts, 0 B, 0 B on disk? [y/N] "]
    assert (code, ids(store)) == ((0, []) if ended else (1, [old]))
    assert ("Nothing was ended." in out) is not ended


@pytest.mark.parametrize("end", [EOFError, KeyboardInterrupt])
def test_no_answer_is_no(run, begin, store, monkeypatch, end):
    old = begin(days=8)

    def interrupted(_words):
        raise end

    monkeypatch.setattr(uploads.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", interrupted)
    assert run("abort", "--older-than", "7d")[0] == 1
    assert ids(store) == [old]


def test_an_upload_that_is_being_completed_is_told_and_the_others_end(
    run, begin, store, monkeypatch
):
    monkeypatch.setattr(upkeep, "PATIENCE_S", 0.1)
    busy, _ = begin(days=8), begin(key="a", days=8)
    with locks.hold_upload(store.root, path_of("box", "key", busy)):
        code, out, err = run("abort", "--older-than", "7d", "--yes")
    assert code == 1
    assert "Ended 1 upload, " in out
    assert err.startswith("Not ended: ")
    assert err.endswith("box/key: It is being completed just now.\n")
    assert ids(store) == [busy]


def test_an_upload_that_ends_by_itself_meanwhile_is_no_error(run, begin, store, monkeypatch):
    begin(days=8)
    real = upkeep.end

    def end(store, upload):
        real(store, upload)
        real(store, upload)

    monkeypatch.setattr(upkeep, "end", end)
    code, out, err = run("abort", "--older-than", "7d", "--yes")
    assert (code, err) == (0, "")
    assert out.startswith("Ended 0 uploads")


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        ((1 << 20) - 1, "1.0 MiB"),
        (1 << 20, "1.0 MiB"),
        (5 << 40, "5.0 TiB"),
        (5 << 60, "5120.0 PiB"),
    ],
)
def test_sizes_are_said_in_the_unit_that_fits(size, said):
    assert amounts.human(size) == said


# Of another gateway ------------------------------------------------------------------------------


def test_an_upload_of_versitys_gateway_is_shown_and_ended(tmp_path, capsys):
    root = versity.unpack(tmp_path)
    assert main.main(["uploads", "list", "--json", "--root", str(root)]) == 0
    document = json.loads(capsys.readouterr().out)
    (upload,) = document["uploads"]
    folder = hashlib.sha256(upload["key"].encode()).hexdigest()
    path = root / upload["bucket"] / ".sgwtmp" / "multipart" / folder / upload["id"]
    sizes = [part.stat().st_size for part in path.iterdir()]
    assert (upload["parts"], upload["bytes"]) == (len(sizes), sum(sizes))
    words = [f"--{name}={upload[name]}" for name in ("bucket", "key", "id")]
    assert main.main(["uploads", "abort", *words, "--root", str(root)]) == 0
    assert not path.parent.exists()
