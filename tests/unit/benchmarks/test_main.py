"""The command line, the plan that it makes, and the scratch folder of our daemons."""

import json
import stat
from pathlib import Path

import pytest

from benchmarks.__main__ import other_of, parser, plan_of
from benchmarks.daemon import Scratch
from benchmarks.plan import Cores, Plan
from benchmarks.volume import mount_of


def plan(*words):
    return plan_of(parser().parse_args(words))


def test_everything_is_measured_unless_sections_are_named():
    assert plan().sections == ("a", "b", "c", "d", "e", "f", "g")
    assert plan("--only", "a,d").sections == ("a", "d")


def test_a_quick_run_does_less_of_the_same():
    whole, quick = Plan(), plan("--quick")
    assert quick.sections == whole.sections
    assert quick.rounds < whole.rounds
    assert max(quick.flat) < max(whole.flat)


def test_amounts_can_be_named():
    assert plan("--keys", "1000,5000", "--rounds", "2").flat == (1000, 5000)
    assert plan("--rounds", "2").rounds == 2


@pytest.mark.parametrize("words", [("--only", "z"), ("--durability", "some"), ("--keys", "many")])
def test_what_cannot_be_measured_is_refused(words, capsys):
    with pytest.raises(SystemExit):
        plan(*words)
    assert words[0] in capsys.readouterr().err


def test_another_server_is_named_with_its_processes():
    words = ["--endpoint", "http://127.0.0.1:9000", "--access-key", "k", "--pid", "12,13"]
    other = other_of(parser().parse_args(words))
    assert (other.endpoint.netloc, other.endpoint.access_key) == ("127.0.0.1:9000", "k")
    assert other.processes.tops == (12, 13)
    assert other.tree is None


def test_another_server_without_processes_is_refused():
    with pytest.raises(SystemExit, match="--pid"):
        other_of(parser().parse_args(["--endpoint", "http://127.0.0.1:9000"]))


def test_server_and_client_get_a_core_each_where_there_are_two():
    cores = Cores.of_this_machine()
    assert len(cores.server) == len(cores.client) == 1
    assert cores.server | cores.client <= cores.every
    assert len(cores.every) == 1 or cores.server != cores.client


def test_credentials_of_a_scratch_folder_are_readable_by_the_owner_alone(tmp_path):
    scratch = Scratch.make(tmp_path)
    assert stat.S_IMODE(scratch.credentials.stat().st_mode) == 0o600
    line = json.loads(scratch.credentials.read_text())
    assert line["access_key"] == scratch.access_key
    assert line["secret_key"] == scratch.secret_key
    assert line["enabled"] is True


def test_the_file_system_of_a_folder_is_that_of_its_mount_point():
    assert mount_of(Path("/proc/self"))[1] == "proc"
