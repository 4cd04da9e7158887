"""Give a service its own copy of the host's certificate, with the key in the form it can read."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


class CertificateError(Exception):
    """A certificate or key cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Copy:
    """One file that the service gets."""

    source: Path
    target: Path
    is_key: bool = False

    def content(self) -> bytes:
        """Return what the target should hold.

        :raises CertificateError: where the source cannot be read or converted
        """
        try:
            content = self.source.read_bytes()
        except OSError as error:
            raise CertificateError(f"{self.source}: {error.strerror}") from error
        if not self.is_key or b"-----BEGIN PRIVATE KEY-----" in content:
            return content
        return convert_key(self.source)

    def differs(self, wanted: bytes, mode: int) -> bool:
        """Say whether the target's content or mode is another one."""
        if not self.target.is_file():
            return True
        same_mode = self.target.stat().st_mode & 0o7777 == mode
        return not same_mode or self.target.read_bytes() != wanted


def convert_key(path: Path) -> bytes:
    """Return a private key as PKCS#8, which is the one form that the security plugin reads.

    :raises CertificateError: where it is no private key or is encrypted
    """
    answer = subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-nocrypt", "-passin", "pass:", "-in", str(path)],
        capture_output=True,
        check=False,
    )
    if answer.returncode:
        raise CertificateError(f"{path} is no private key without a passphrase")
    return answer.stdout


def write(copy: Copy, content: bytes, owner: str, mode: int) -> None:
    """Replace the target atomically; it is never readable by others, not even for a moment."""
    copy.target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    partial = copy.target.with_name(f".{copy.target.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_bytes(content)
    shutil.chown(partial, owner, owner)
    partial.chmod(mode)
    partial.replace(copy.target)
