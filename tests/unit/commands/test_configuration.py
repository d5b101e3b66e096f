"""Flags over ini over defaults, and every mistake as one line."""

import logging

import pytest

from s3filters.commands.configuration import Configuration
from s3filters.commands.errors import UsageError

SMALL = """
[DEFAULT]
%(default)s
[pipeline:main]
pipeline = healthcheck %(filters)s app
[filter:healthcheck]
use = egg:s3filters#healthcheck
%(healthcheck)s
[app:app]
paste.app_factory = tests.unit.commands.echo:app_factory
%(app)s
[server:main]
use = egg:s3filters#eventlet
%(server)s
"""
WORDS = dict.fromkeys(("default", "filters", "healthcheck", "app", "server"), "")


@pytest.fixture
def ini(tmp_path):
    def write(flags=(), **words):
        path = tmp_path / "some.ini"
        path.write_text(SMALL % {**WORDS, **words})
        return Configuration(path, dict(flags))

    return write


def test_without_a_conf_the_default_pipeline_is_served():
    configuration = Configuration(None, {})
    assert configuration.uses("sigauth")
    assert configuration.value("region") == "us-east-1"


def test_a_flag_stands_above_the_ini_and_the_ini_above_the_default(ini):
    assert ini().value("region") == "us-east-1"
    assert ini(default="region = eu-west-1").value("region") == "eu-west-1"
    flagged = ini({"region": "eu-north-1"}, default="region = eu-west-1")
    assert flagged.value("region") == "eu-north-1"


@pytest.mark.parametrize("root", ["/srv/100% mine", "/srv/%(here)s", "/srv/$x; y"])
def test_a_flag_reaches_the_factories_whatever_characters_it_holds(ini, root):
    app = ini({"root": root}).app().app
    assert app.global_conf["root"] == root


def test_an_ini_may_build_its_values_from_a_flag(ini):
    app = ini({"root": "/srv/50%"}, app="index = %(root)s/index").app().app
    assert app.local_conf["index"] == "/srv/50%/index"


def test_here_is_the_folder_of_the_ini(ini, tmp_path):
    assert ini(default="root = %(here)s/tree").value("root") == f"{tmp_path}/tree"


def test_a_reload_sees_a_changed_ini(ini):
    configuration = ini(default="region = one")
    assert configuration.app().app.global_conf["region"] == "one"
    ini(default="region = two")
    assert configuration.app().app.global_conf["region"] == "two"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"healthcheck": "paht = /x"}, "[filter:healthcheck] has no option paht; it has path"),
        ({"healthcheck": "path = x"}, "[filter:healthcheck] path = x: say a path such as"),
        ({"healthcheck": "path = /a\npath = /b"}, "option 'path'"),
        ({"filters": "nowhere"}, "No section 'nowhere'"),
        ({"app": "[filter:x]"}, "some.ini"),
        ({"default": "broken"}, "some.ini"),
        ({"default": "root = %(nothing)s"}, "nothing"),
        ({"app": "fail = LookupError"}, "LookupError on demand"),
        ({"app": "fail = OSError"}, "OSError on demand"),
    ],
)
def test_a_mistake_in_the_ini_is_one_line_that_names_the_place(ini, words, said):
    with pytest.raises(UsageError) as error:
        if words == {"app": "[filter:x]"}:
            ini(filters="x", **words).app()
        ini(**words).app()
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_ini_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.ini: No such file"):
        Configuration(tmp_path / "none.ini", {}).app()


def test_an_ini_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "binary.ini"
    path.write_bytes(b"[DEFAULT]\nroot = \xff\n")
    with pytest.raises(UsageError, match=r"binary\.ini: not UTF-8"):
        Configuration(path, {}).app()


def test_an_option_that_pastedeploy_would_pass_over_is_refused(ini):
    with pytest.raises(UsageError, match=r"\[app:app\] root belongs to \[DEFAULT\]"):
        ini({"root": "/srv/a"}, app="root = /srv/b").app()


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("durabilty", "durability"), ("regoin", "region"), ("rot", "root"), ("Root", "root")],
)
def test_a_slip_in_default_is_refused_with_what_was_meant(ini, slip, meant):
    with pytest.raises(UsageError, match=rf"\[DEFAULT\] has no option {slip}; is it {meant}\?"):
        ini(default=f"{slip} = none").check_default()


def test_another_name_in_default_is_warned_about_as_it_may_be_somebody_elses(ini, caplog):
    with caplog.at_level(logging.WARNING):
        ini(default="memcache_servers = none\nregion = x").check_default()
    (record,) = caplog.records
    assert "memcache_servers" in record.getMessage()


def test_what_the_server_section_uses_is_known(ini):
    context = ini(server="workers = 3").server()
    assert context.entry_point_name == "eventlet"
    assert context.local_conf == {"workers": "3"}
