"""A program behind HTTP that takes messages, or does not."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """``answers`` are the next statuses, 200 when there are none; ``got`` is what was posted."""

    def __init__(self, port=0):
        self.answers = []
        self.got = []
        self.paths = []
        self.headers = []
        self.connections = 0
        self.keep = True
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                receiver.connections += 1

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(body)
                receiver.paths.append(self.path)
                receiver.headers.append(dict(self.headers))
                status = receiver.answers.pop(0) if receiver.answers else 200
                self.send_response(status)
                self.send_header("Content-Length", "2")
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                if status != 204:
                    self.wfile.write(b"ok")
                if not receiver.keep:
                    self.close_connection = True  # without a word, as a server that restarts

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook?token=secret"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def receiving(port=0):
    receiver = Receiver(port)
    try:
        yield receiver
    finally:
        receiver.close()
