"""Many connections, one buffer: whose bytes are whose."""

import ssl
import threading

import pytest

from s3filters.server import stream
from tests.unit.server.certificate import make_certificate
from tests.unit.server.live import Client, serving

CLIENTS = 6


def echo(environ, start_response):
    data = environ["RAW_PATH_INFO"].encode()
    start_response("200 OK", [("Content-Length", str(len(data)))])
    return [data]


@pytest.mark.parametrize("tls", [False, True])
def test_bytes_of_one_connection_are_never_taken_for_anothers(monkeypatch, tmp_path, tls):
    # After a burst a connection lets the others have their turn: here after each single byte.
    monkeypatch.setattr(stream, "BURST", 1)
    options, context, wrong = {}, None, []
    if tls:
        options["certificate"] = make_certificate(tmp_path)
        context = ssl.create_default_context(cafile=options["certificate"])

    def talk(number):
        path = f"/{str(number) * 2000}"
        request = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        try:
            with Client(live, tls=context) as client:
                for _ in range(20):
                    client.send(request * 10)
                    answers = [client.answer() for _ in range(10)]
                    wrong.extend(a for a in answers if a is None or a[2] != path.encode())
        except (OSError, AssertionError) as error:
            wrong.append(error)

    with serving(echo, **options) as live:
        threads = [threading.Thread(target=talk, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert wrong == []
