"""Searches the library through the VIP as a reader would. scripts/lab runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from lab import site

PATIENCE = 60  # seconds: what was just loaded is searchable after the next refresh


def search(lab: site.Site) -> tuple[int, str]:
    """How many documents a search without words finds, or 0 and why there is no answer."""
    name = lab.service_name
    command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "10"]
    command += ["--cacert", str(lab.authority), "--resolve", f"{name}:443:{lab.vip}"]
    command.append(f"https://{name}/api/search?q=&size=1")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return 0, done.stderr.strip()
    total = int(json.loads(done.stdout)["total"])
    return total, "" if total else "the search finds nothing"


def main() -> int:
    parser = site.options(__doc__)
    parser.add_argument("--address", action="store_true", help="print name and VIP only")
    given = parser.parse_args()
    lab = site.read(given.profile)
    if given.address:
        print(lab.service_name, lab.vip)
        return 0
    end = time.monotonic() + PATIENCE
    while True:
        total, problem = search(lab)
        if total:
            print(f"  https://{lab.service_name}/ at {lab.vip} searches {total:,} documents")
            return 0
        if time.monotonic() > end:
            print(f"scripts/lab: no search through {lab.vip}: {problem}", file=sys.stderr)
            return 1
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
