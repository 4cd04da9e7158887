"""Searches the library through the VIP as a reader would. scripts/lab runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from lab import site

PATIENCE = 60  # seconds: what was just loaded is searchable after the next refresh


def search(lab: site.Site, words: str) -> tuple[int, str]:
    """How many documents a search finds and the first one's title; or 0, and why there is none."""
    name = lab.service_name
    command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "10"]
    command += ["--cacert", str(lab.authority), "--resolve", f"{name}:443:{lab.vip}"]
    command += ["--get", "--data-urlencode", f"q={words}", f"https://{name}/api/search"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return 0, done.stderr.strip()
    found = json.loads(done.stdout)
    first = found["results"][0]["title"] if found["results"] else f"nothing is found for {words}"
    return int(found["total"]), str(first)


def main() -> int:
    parser = site.options(__doc__)
    parser.add_argument("--address", action="store_true", help="print name and VIP only")
    given = parser.parse_args()
    lab = site.read(given.profile)
    if given.address:
        print(lab.service_name, lab.vip)
        return 0
    words = (given.state / "search").read_text()
    end = time.monotonic() + PATIENCE
    while True:
        total, said = search(lab, words)
        if total:
            print(f'  https://{lab.service_name}/ at {lab.vip}: "{words}"')
            print(f'  finds {total:,} documents, the first of them "{said}"')
            return 0
        if time.monotonic() > end:
            print(f"scripts/lab: no search through {lab.vip}: {said}", file=sys.stderr)
            return 1
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
