"""[server:main] of an ini: PasteDeploy finds the server, and SIGHUP reads the ini again."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from s3filters.server.runner import server_runner

ROOT = Path(__file__).parents[3]
LIMIT_S = 10.0

INI = """
[DEFAULT]
colour = {colour}
size = small

[server:main]
paste.server_runner = s3filters.server.runner:server_runner
listen = unix:{path}
workers = 1

[app:main]
paste.app_factory = painter:factory
"""
PAINTER = """
def factory(global_conf, shade="none"):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [f"{global_conf['size']} {global_conf['colour']} {shade}".encode()]
    return app
"""
MAIN = """
import sys
from paste.deploy import loadapp, loadserver
ini, given = f"config:{sys.argv[1]}", {"size": "large"}
loadserver(ini, global_conf=given)(loadapp(ini, global_conf=given))
"""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=LIMIT_S)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def ask(path):
    connection = UnixConnection(path)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    except OSError:
        return ""
    finally:
        connection.close()


def until(condition):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_ini_names_the_server_and_is_read_again(tmp_path):
    path = str(tmp_path / "sock")
    ini = tmp_path / "test.ini"
    ini.write_text(INI.format(colour="red", path=path))
    (tmp_path / "painter.py").write_text(PAINTER)
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, str(ini)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
        start_new_session=True,
    )
    try:
        until(lambda: ask(path) == "large red none")
        ini.write_text(INI.format(colour="blue", path=path) + "shade = dark\n")
        process.send_signal(signal.SIGHUP)
        until(lambda: ask(path) == "large blue dark")
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_an_address_that_cannot_be_ends_with_one_line(tmp_path):
    with pytest.raises(SystemExit, match=r"^s3filters: cannot listen on unix:/no/dir/sock: "):
        server_runner(None, {}, listen="unix:/no/dir/sock")
