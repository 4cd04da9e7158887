"""sslyze, which also judges a port that takes no caller without a certificate.

Whether such a port renegotiates is only known to who has one. sslyze then calls the whole scan
failed; here all the rest is judged, and renegotiation is left out. Some servers, asyncio's among
them, say nothing to a caller without one and close the connection; sslyze is told what that means.
It runs as a process of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sslyze.__main__
from nassl.ssl_client import ClientCertificateRequested, SslClient
from sslyze.plugins.session_renegotiation_plugin import SessionRenegotiationScanResult
from sslyze.scanner.scan_command_attempt import (
    ScanCommandAttemptStatusEnum,
    ScanCommandErrorReasonEnum,
)

command: Any = sslyze.__main__
check = command.check_server_against_tls_configuration
NOT_TRIED = SessionRenegotiationScanResult(
    supports_secure_renegotiation=True,
    is_vulnerable_to_client_renegotiation_dos=False,
    client_renegotiations_success_count=0,
)


def check_without_renegotiation(server_scan_result: Any, tls_config_to_check_against: Any) -> None:
    """Judge the rest where renegotiation alone could not be tried, for want of a certificate."""
    scan = server_scan_result.scan_result
    wants_one = ScanCommandErrorReasonEnum.CLIENT_CERTIFICATE_NEEDED
    if scan is not None and scan.session_renegotiation.error_reason == wants_one:
        left_out = replace(
            scan.session_renegotiation,
            status=ScanCommandAttemptStatusEnum.COMPLETED,
            error_reason=None,
            result=NOT_TRIED,
        )
        scan = replace(scan, session_renegotiation=left_out)
    check(replace(server_scan_result, scan_result=scan), tls_config_to_check_against)


read = SslClient.read


def read_or_be_asked(self: Any, size: int, handshake_must_be_completed: bool = True) -> bytes:
    """Read; a server that closes after the handshake without a word wants a certificate."""
    try:
        return read(self, size, handshake_must_be_completed)
    except OSError as error:
        raise ClientCertificateRequested(self.get_client_CA_list()) from error


if __name__ == "__main__":
    command.check_server_against_tls_configuration = check_without_renegotiation
    SslClient.read = read_or_be_asked  # type: ignore[method-assign]
    command.main()
