#!/usr/bin/python3
"""Ask a cluster what the health gate asks, and print all answers; runs on a search node of it."""

from __future__ import annotations

import json
import sys
from typing import Any

from opensearchpy import OpenSearch, exceptions

PKI = "/etc/research-pki"


def main(url: str, requests: dict[str, Any]) -> None:
    """Print the answers, with the reason of each copy that is not assigned."""
    identity: dict[str, Any] = {
        "ca_certs": f"{PKI}/ca.pem",
        "client_cert": f"{PKI}/opensearch-admin.pem",
        "client_key": f"{PKI}/opensearch-admin.pem.key",
    }
    client = OpenSearch([url], timeout=60, **(identity if url.startswith("https") else {}))
    answers: dict[str, Any] = {}
    for name, (path, params) in requests.items():
        try:
            answers[name] = client.transport.perform_request("GET", path, params=params)
        except exceptions.TransportError as error:
            answers[name] = {"status": error.status_code, "error": error.info}
    answers["explanations"] = {}
    for index, table in answers["state"].get("routing_table", {}).get("indices", {}).items():
        for copy in [copy for copies in table["shards"].values() for copy in copies]:
            if copy["state"] == "UNASSIGNED":
                about = {"index": index, "shard": copy["shard"], "primary": copy["primary"]}
                answer = client.transport.perform_request(
                    "POST", "/_cluster/allocation/explain", body=about
                )
                answers["explanations"][f"{index}[{copy['shard']}]"] = answer
    print("ANSWERS", json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
