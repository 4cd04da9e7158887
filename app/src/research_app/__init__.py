"""Search for papers, lectures and podcasts on OpenSearch."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("research-app")
except PackageNotFoundError:  # pragma: no cover - a checkout that was never installed
    __version__ = "0"
