"""One way to reach a cluster, and one error, for every opensearch_* module.

The modules that ask the server run on a cluster node with an interpreter that has opensearch-py.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.opensearch_objects import Plan

try:
    from opensearchpy import OpenSearch
    from opensearchpy import exceptions as errors
except ImportError:  # reported by Client(), so that documentation and tests need no client
    HAS_CLIENT = False
else:
    HAS_CLIENT = True

CONNECTION_OPTIONS: dict[str, Any] = {
    "urls": {"type": "list", "elements": "str", "required": True},
    "ca": {"type": "path", "required": True},
    "client_certificate": {"type": "path"},
    "client_key": {"type": "path", "no_log": False},
    "user": {"type": "str"},
    "password_file": {"type": "path", "no_log": False},
    "timeout": {"type": "int", "default": 30},
}
CONNECTION_SPEC: dict[str, Any] = {
    "connection": {
        "type": "dict",
        "required": True,
        "options": CONNECTION_OPTIONS,
        "required_together": [["client_certificate", "client_key"], ["user", "password_file"]],
        "required_one_of": [["client_certificate", "user"]],
        "mutually_exclusive": [["client_certificate", "user"]],
    }
}
REFUSED = (401, 403)


class OpenSearchError(Exception):
    """The cluster did not do what was asked; the message says why in one sentence."""

    def __init__(self, message: str, status: int | None = None, final: bool = False) -> None:
        """Keep the HTTP status, and whether asking again is pointless."""
        super().__init__(message)
        self.status = status
        self.final = final


class Client:
    """Sends requests to the first host of a list that answers."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        """Prepare the client; nothing is sent yet.

        :raises OpenSearchError: where opensearch-py or a file of the connection is missing
        """
        if not HAS_CLIENT:
            raise OpenSearchError(f"opensearch-py is missing in {sys.executable}", final=True)
        options = {**connection, "urls": list(connection["urls"])}
        for name in ("ca", "client_certificate", "client_key", "password_file"):
            path = options.get(name)
            if path and not Path(path).is_file():
                raise OpenSearchError(f"the {name.replace('_', ' ')} {path} is missing", final=True)
        self.urls = options["urls"]
        self._trust = {
            "ca_certs": options["ca"],
            "timeout": options.get("timeout") or 30,
            # The next host is asked where one does not answer; an answer is never asked for twice.
            "max_retries": len(self.urls) - 1,
            "retry_on_status": (),
            "randomize_hosts": False,
        }
        self._client = OpenSearch(
            hosts=self.urls,
            use_ssl=True,
            verify_certs=True,
            **self._trust,
            **self._identity(options),
        )

    @staticmethod
    def _identity(options: Mapping[str, Any]) -> dict[str, Any]:
        if options.get("client_certificate"):
            return {
                "client_cert": options["client_certificate"],
                "client_key": options["client_key"],
            }
        password = Path(options["password_file"]).read_text(encoding="utf-8").rstrip("\n")
        return {"http_auth": (options["user"], password)}

    def request(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """Send one request and return the parsed answer.

        :raises OpenSearchError: where no host answers, or the answer is a refusal
        """
        try:
            return self._client.transport.perform_request(method, path, params=params, body=body)
        except errors.SSLError as error:
            raise OpenSearchError(
                f"TLS with {self._who()} failed: {error.info}", final=True
            ) from error
        except errors.ConnectionError as error:
            raise OpenSearchError(f"{self._who()} does not answer: {error.info}") from error
        except errors.TransportError as error:
            raise self._refusal(method, path, error) from error
        except errors.OpenSearchException as error:
            raise OpenSearchError(f"{method} {path}: {error}") from error

    def _who(self) -> str:
        return ", ".join(self.urls)

    def _refusal(self, method: str, path: str, error: Any) -> OpenSearchError:
        status = error.status_code if isinstance(error.status_code, int) else None
        text = f"{method} {path}: HTTP {error.status_code} {describe(error.info) or error.error}"
        return OpenSearchError(text, status=status, final=status in REFUSED)

    def get(self, path: str, **params: Any) -> Any:
        """Read, where absence is an answer: None for HTTP 404.

        :raises OpenSearchError: as request does
        """
        try:
            return self.request("GET", path, **params)
        except OpenSearchError as error:
            if error.status == 404:
                return None
            raise

    def authenticates(self, user: str, password: str) -> bool:
        """Say whether a user can log in with a password.

        :raises OpenSearchError: where the answer is neither a yes nor a no
        """
        probe = OpenSearch(
            hosts=self.urls,
            use_ssl=True,
            verify_certs=True,
            http_auth=(user, password),
            **self._trust,
        )
        try:
            probe.transport.perform_request("GET", "/_plugins/_security/authinfo")
        except errors.AuthenticationException:
            return False
        except errors.OpenSearchException as error:
            raise OpenSearchError(f"logging in as {user}: {type(error).__name__}") from None
        return True

    def apply(self, plan: Plan) -> None:
        """Send a plan's requests.

        :raises OpenSearchError: at the first that is refused
        """
        for method, path, body in plan.requests():
            self.request(method, path, body)


def describe(info: Any) -> str:
    """Return the reason within an error answer of the server."""
    if not isinstance(info, Mapping):
        return str(info or "")
    error = info.get("error", info.get("reason", info.get("message")))
    if isinstance(error, Mapping):
        return str(error.get("reason") or error.get("type") or "")
    return str(error or "")


def connect(connection: Mapping[str, Any]) -> Client:
    """Return a client for a module's ``connection`` option.

    :raises OpenSearchError: where it cannot be made
    """
    return Client(connection)
