"""Headless Chromium, and a server of pages for it: an origin that is not the daemon's.

``open_page`` returns the document as it is when the page has nothing more to do, so a test's page
writes into it what it found out.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
LIMIT_S = 90
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
    "--virtual-time-budget=30000", "--dump-dom",
)  # fmt: skip


def program() -> str | None:
    """Return the path of a Chromium, None when there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def open_page(url: str, home: Path) -> str:
    """Return the document of a page, as text.

    :param home: a folder for the browser's profile
    """
    found = program()
    assert found is not None
    command = [found, *_FLAGS, f"--user-data-dir={home}", url]
    done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=True)
    return done.stdout.decode()


def said(document: str) -> str:
    """Return the text of the element ``said`` of a document."""
    match = re.search(r'id="said">(.*?)</pre>', document, re.DOTALL)
    assert match is not None, document
    return html.unescape(match[1])


@dataclass
class Pages:
    """Pages by path, and where they are served."""

    origin: str
    pages: dict[str, str] = field(default_factory=dict)

    def script(self, path: str, script: str) -> str:
        """Serve a page whose script says something by ``say``; return its URL."""
        self.pages[path] = f"""<!DOCTYPE html><meta charset="utf-8"><pre id="said"></pre><script>
            const say = words => {{ document.getElementById("said").textContent += words; }};
            (async () => {{ {script} }})().catch(error => say(String(error)));
        </script>"""
        return f"{self.origin}{path}"


@contextmanager
def serving() -> Iterator[Pages]:
    """Serve pages on a port of their own until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.pages.get(self.path.partition("?")[0])
            data = (page or "").encode()
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        pages = Pages(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield pages
        finally:
            server.shutdown()
            thread.join()
