"""Master and workers as processes: they come, are replaced, reload and leave."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("program.py")
ROOT = Path(__file__).parents[3]
LIMIT_S = 10.0


class Program:
    """A running program; ``said`` is what its log has so far."""

    def __init__(self, process, state, log):
        self.process = process
        self.state = state
        self._log = log
        self.endpoint = ""

    @property
    def port(self):
        return int(self.endpoint.rpartition(":")[2])

    @property
    def said(self):
        return self._log.read_text()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(LIMIT_S)

    def connect(self):
        return closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S))

    def ask(self, path="/"):
        with self.connect() as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def until(self, condition):
        end = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < end, self.said
            time.sleep(0.02)


@pytest.fixture
def start(tmp_path):
    running = []

    def start(*words, listen="127.0.0.1:0", state="first", ready=True):
        (tmp_path / "state").write_text(state)
        log = tmp_path / f"log-{len(running)}"
        with log.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, PROGRAM, listen, *words],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), "STATE": str(tmp_path / "state")},
                start_new_session=True,
            )
        program = Program(process, tmp_path / "state", log)
        running.append(program)
        if ready:
            words = process.stdout.readline().split()
            assert words, log.read_text()
            program.endpoint = words[1]
        return program

    yield start
    for program in running:
        if program.process.poll() is None:
            os.killpg(program.process.pid, signal.SIGKILL)
        program.process.wait()
        program.process.stdout.close()


@contextmanager
def in_thread(function, *args):
    """Run the function beside; what it returned is in the list given, or what it raised."""
    came = []

    def run():
        try:
            came.append(function(*args))
        except (OSError, http.client.HTTPException) as error:
            came.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield came
    thread.join(LIMIT_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_ends_in_order(start, number):
    program = start("workers=2")
    assert program.ask() == "first"
    program.signal(number)
    assert program.wait() == 0
    assert "Traceback" not in program.said
    assert program.said.index("stopping") < program.said.index("stopped")


def test_ctrl_c_reaches_all_processes_and_is_obeyed_once(start):
    program = start("workers=2")
    os.killpg(program.process.pid, signal.SIGINT)
    assert program.wait() == 0
    assert "Traceback" not in program.said


def test_sigterm_lets_an_upload_in_flight_finish(start):
    program = start("workers=1")
    with program.connect() as busy, program.connect() as idle:
        idle.request("GET", "/")
        idle.getresponse().read()
        busy.putrequest("PUT", "/take")
        busy.putheader("Content-Length", "3000000")
        busy.endheaders(b"x" * 1000000)
        time.sleep(0.1)
        program.signal(signal.SIGTERM)
        time.sleep(0.3)
        with pytest.raises(OSError):
            program.ask()  # nobody new
        assert idle.sock.recv(1) == b""
        busy.send(b"x" * 2000000)
        answer = busy.getresponse()
        assert answer.getheader("Connection") == "close"
        assert answer.read() == b"3000000"
    assert program.wait() == 0


def test_draining_has_an_end(start):
    program = start("workers=1", "drain_timeout=0.5")
    with program.connect() as busy:
        busy.putrequest("PUT", "/take")
        busy.putheader("Content-Length", "3")
        busy.endheaders(b"x")
        time.sleep(0.1)
        begin = time.monotonic()
        program.signal(signal.SIGTERM)
        assert program.wait() == 0
        assert 0.4 < time.monotonic() - begin < 3
    assert "cut" in program.said


def test_a_second_signal_does_not_wait(start):
    program = start("workers=1")
    with program.connect() as busy:
        busy.putrequest("PUT", "/take")
        busy.putheader("Content-Length", "3")
        busy.endheaders(b"x")
        time.sleep(0.1)
        program.signal(signal.SIGTERM)
        time.sleep(0.2)
        assert program.process.poll() is None
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


def test_a_killed_worker_is_replaced(start):
    program = start("workers=1")
    killed = int(program.ask("/pid"))
    os.kill(killed, signal.SIGKILL)
    assert int(program.ask("/pid")) != killed
    assert "died (signal 9)" in program.said


def test_workers_that_die_at_once_are_replaced_ever_more_slowly(start):
    program = start("workers=1")
    program.state.write_text("dying")
    os.kill(int(program.ask("/pid")), signal.SIGKILL)
    time.sleep(1.5)
    assert 2 <= program.said.count("died") <= 6
    program.state.write_text("second")
    program.until(lambda: program.ask() == "second")


def test_workers_end_when_the_master_is_killed(start):
    program = start("workers=1")
    worker = int(program.ask("/pid"))
    program.signal(signal.SIGKILL)
    program.wait()
    program.until(lambda: not Path(f"/proc/{worker}").exists() or zombie(worker))


def zombie(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_an_app_that_cannot_be_loaded_is_one_line_and_an_end(start):
    program = start(state="broken", ready=False)
    assert program.wait() != 0
    assert "cannot start: [app:main] is broken" in program.said
    assert "Traceback" not in program.said


def test_an_address_in_use_is_told(start):
    first = start("workers=1")
    second = start("workers=1", listen=f"127.0.0.1:{first.port}", ready=False)
    assert second.wait() != 0
    assert f"cannot listen on 127.0.0.1:{first.port}: Address already in use" in second.said


def test_sighup_loads_anew_without_dropping_a_request(start):
    program = start("workers=2", "drain_timeout=4")
    stop = threading.Event()

    def load(keep):
        """Ask until told to stop; any error is the test's."""
        answers = []
        connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=LIMIT_S)
        while not stop.is_set():
            connection.request("GET", "/")
            answers.append(connection.getresponse().read().decode())
            if not keep:
                connection.close()
            time.sleep(0.001)
        connection.close()
        return answers

    with in_thread(load, True) as a, in_thread(load, True) as b, in_thread(load, False) as c:
        time.sleep(0.2)
        for state in ("second", "third"):
            program.state.write_text(state)
            program.signal(signal.SIGHUP)
            program.until(lambda state=state: program.ask() == state)
            time.sleep(0.3)
        stop.set()
    for came in (a, b, c):
        assert isinstance(came[0], list), came[0]
        assert set(came[0]) == {"first", "second", "third"}


def test_a_reload_that_cannot_load_changes_nothing(start):
    program = start("workers=2")
    program.state.write_text("broken")
    program.signal(signal.SIGHUP)
    program.until(lambda: "the reload failed" in program.said)
    assert program.ask() == "first"
    program.state.write_text("second")
    program.signal(signal.SIGHUP)
    program.until(lambda: program.ask() == "second")


def test_a_retired_worker_finishes_what_it_does(start):
    program = start("workers=1")
    with program.connect() as busy:
        busy.request("GET", "/sleep?1")
        time.sleep(0.1)
        program.state.write_text("second")
        program.signal(signal.SIGHUP)
        program.until(lambda: program.ask() == "second")
        assert busy.getresponse().read() == b"slept"


def test_a_retired_worker_leaves_what_else_it_does_to_the_others_at_once(start):
    program = start("workers=1")
    with program.connect() as busy:
        busy.request("GET", "/sleep?3")
        time.sleep(0.1)
        program.state.write_text("second")
        program.signal(signal.SIGHUP)
        program.until(lambda: "first looks after nothing any more" in program.said)
        assert program.ask() == "second"
        assert busy.getresponse().read() == b"slept"
    assert "second looks" not in program.said


def test_a_retired_worker_may_take_longer_than_a_drain(start):
    program = start("workers=1", "drain_timeout=0.2")
    with program.connect() as busy:
        busy.request("GET", "/sleep?1.5")
        time.sleep(0.1)
        for state in ("second", "third"):
            program.state.write_text(state)
            program.signal(signal.SIGHUP)
            program.until(lambda state=state: program.ask() == state)
        assert busy.getresponse().read() == b"slept"


def test_a_unix_socket_is_served_and_removed_at_the_end(start, tmp_path):
    path = tmp_path / "sock"
    program = start("workers=2", listen=f"unix:{path},127.0.0.1:0")
    with closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.connect(str(path))
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    assert not path.exists()


@pytest.mark.parametrize("count", [8, 32])
def test_connections_are_shared_out_evenly(start, count):
    program = start("workers=2")
    connections = [
        http.client.HTTPConnection("127.0.0.1", program.port, timeout=LIMIT_S) for _ in range(count)
    ]
    for connection in connections:
        connection.connect()
    pids = []
    for connection in connections:
        connection.request("GET", "/pid")
        pids.append(connection.getresponse().read())
    for connection in connections:
        connection.close()
    assert abs(pids.count(pids[0]) - count / 2) <= count / 8


def test_idle_connections_cost_little(start):
    program = start("workers=1")
    pid = int(program.ask("/pid"))
    before = resident_kib(pid)
    connections = [socket.create_connection(("127.0.0.1", program.port)) for _ in range(1000)]
    for connection in connections:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for connection in connections:
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    grown = resident_kib(pid) - before
    for connection in connections:
        connection.close()
    assert grown < 20_000, f"{grown} KiB"


def resident_kib(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
