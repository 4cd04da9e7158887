"""A service that answers, unless /run/patient.hangs is there: then it accepts and says nothing."""

from __future__ import annotations

import signal
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

HANGS = Path("/run/patient.hangs")


class Answers(BaseHTTPRequestHandler):
    """Answers everybody with a refusal, which is an answer."""

    def do_GET(self) -> None:
        """Answer a GET."""
        while HANGS.exists():
            time.sleep(0.1)
        self.send_error(401)

    def log_message(self, *_: object) -> None:
        """Keep the journal for the watchdog."""


signal.signal(signal.SIGUSR1, lambda *_: print("what my threads do"))
HTTPServer(("127.0.0.1", 8000), Answers).serve_forever()
