"""The process that opens files: a path a line on standard input, an answer a line back.

A file that crashes the PDF library, or makes it ask for all the memory there is, ends this
process and nothing else.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import orjson

from research_app.extract.pdf import extract
from research_app.refusal import RefusedError

MAX_MEMORY_BYTES = 2 * 1024**3


def answer(path: Path) -> bytes:
    """The fields found, or the reason why there are none."""
    try:
        return orjson.dumps({"fields": extract(path)})
    except RefusedError as error:
        return orjson.dumps({"refused": str(error)})
    except MemoryError:
        return orjson.dumps({"refused": "it needs more memory than one file may take"})
    except Exception as error:
        return orjson.dumps({"refused": f"cannot be read ({type(error).__name__})"})


def main() -> None:
    """Answer until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(answer(Path(orjson.loads(line))) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
