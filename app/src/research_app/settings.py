"""Typed settings: one TOML file, and one file per secret."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import ssl
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from limits import RateLimitItem
from limits import parse as parse_rate
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    model_validator,
)

SETTINGS_VARIABLE = "RESEARCH_APP_SETTINGS"
DEFAULT_SETTINGS_PATH = Path("/etc/research-app/settings.toml")
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class SettingsError(Exception):
    """The settings cannot be used; the message says which key, and what to write instead."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(url: str) -> str:
    """An address of a service, or ValueError: TLS, except on this very machine."""
    scheme, separator, rest = url.partition("://")
    host = rest.partition("/")[0]
    if not separator or scheme not in {"http", "https"} or not host:
        raise ValueError("write it as https://HOST:PORT")
    if "@" in host:
        raise ValueError("no user or password in the URL: use user and the credential file")
    name = host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
    if scheme == "http" and not is_loopback(name.strip("[]")):
        raise ValueError("plain http is accepted for this machine's own address only")
    return url.rstrip("/")


def _check_optional_url(url: str) -> str:
    return check_url(url) if url else ""


def _check_sentinel(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("write it as HOST:PORT")
    return address


def _check_network(network: str) -> str:
    try:
        return str(ipaddress.ip_network(network))
    except ValueError:
        raise ValueError("write it as ADDRESS/BITS, e.g. 10.0.0.7/32") from None


def _check_caller(name: str) -> str:
    if "*" in name:
        raise ValueError(f"{name} is not one name: write each host's own")
    if name.lower() == "localhost":
        raise ValueError("localhost is a name of every host, and proves nothing")
    return name.lower()


Callers = tuple[Annotated[str, Field(min_length=1), AfterValidator(_check_caller)], ...]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(_Section):
    host: str = "127.0.0.1"
    port: Port = 7860
    tls: bool = True
    tls_certificate: str = ""
    tls_ciphers: tuple[str, ...] = ("ECDHE+AESGCM", "ECDHE+CHACHA20")
    tls_ca: str = ""
    edges: Callers = ()
    clients: Callers = ()
    trusted_proxies: tuple[str, ...] = ()
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 4.0
    shutdown_seconds: Annotated[float, Field(ge=0, le=600)] = 10.0
    access_log: bool = True
    metrics_networks: tuple[Annotated[str, AfterValidator(_check_network)], ...] = (
        "127.0.0.0/8",
        "::1/128",
    )

    @model_validator(mode="after")
    def _plain_only_on_loopback(self) -> Self:
        if not self.tls and not is_loopback(self.host):
            raise ValueError("tls = false is accepted with a loopback host only")
        return self

    @model_validator(mode="after")
    def _callers_are_named_once(self) -> Self:
        if (self.edges or self.clients) and self.trusted_proxies:
            raise ValueError("give edges by certificate, or trusted_proxies by address, not both")
        if (self.edges or self.clients) and not self.tls_ca:
            raise ValueError("edges and clients need server.tls_ca, their certificates' authority")
        if self.tls_ca and not (self.edges or self.clients):
            raise ValueError(
                "tls_ca is set: name the callers that may connect, in edges or clients"
            )
        if self.tls_ca and not self.tls:
            raise ValueError("server.tls = false asks nobody for a certificate: remove tls_ca")
        return self


class Site(_Section):
    title: str = "Research library"
    tagline: str = "Search papers, lectures and podcasts"
    contact: str = ""


class OpenSearch(_Section):
    urls: Annotated[tuple[Annotated[str, AfterValidator(check_url)], ...], Field(min_length=1)]
    user: str = ""
    worker_user: str = ""
    accounts_user: str = ""
    tls_ca: str = ""
    index: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")] = "research_assistant"
    pool_maxsize: Annotated[int, Field(ge=1, le=1000)] = 32
    timeout_seconds: Seconds = 5.0
    max_retries: Annotated[int, Field(ge=0, le=10)] = 2


class Cache(_Section):
    enabled: bool = True
    sentinels: tuple[Annotated[str, AfterValidator(_check_sentinel)], ...] = ()
    url: str = ""
    service_name: str = "research"
    user: str = ""
    sentinel_user: str = ""
    tls: bool = True
    tls_ca: str = ""
    prefix: str = "research:"
    ttl_seconds: Annotated[int, Field(ge=1, le=86400)] = 300
    timeout_seconds: Seconds = 0.5
    pool_maxsize: Annotated[int, Field(ge=1, le=1000)] = 16

    @model_validator(mode="after")
    def _one_way_to_reach_it(self) -> Self:
        if self.enabled and bool(self.sentinels) == bool(self.url):
            raise ValueError("give either sentinels or url (or enabled = false)")
        return self


class Library(_Section):
    directory: Path = Path("/var/lib/research-app/library")
    caption_language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] = "en"


class Extract(_Section):
    socket: Annotated[str, Field(pattern=r"^(/.{1,100})?$")] = ""


class Jobs(_Section):
    enabled: bool = True
    concurrency: Annotated[int, Field(ge=1, le=64)] = 2
    max_queued: Annotated[int, Field(ge=1, le=100_000)] = 200
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 6
    retry_seconds: Seconds = 30.0
    shutdown_seconds: Annotated[float, Field(ge=0, le=3600)] = 20.0
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 30
    folders: tuple[str, ...] = ("/srv", "/var/lib/research-app")


class Search(_Section):
    max_at_once: Annotated[int, Field(ge=1, le=10_000)] = 32
    max_waiting: Annotated[int, Field(ge=0, le=100_000)] = 128
    title_boost: Annotated[float, Field(ge=1, le=100)] = 2.0
    author_boost: Annotated[float, Field(ge=1, le=100)] = 1.0
    phrase_boost: Annotated[float, Field(ge=0, le=100)] = 1.0
    timeout_seconds: Seconds = 8.0
    meaning: bool = False
    meaning_model: str = ""
    meaning_weight: Annotated[float, Field(ge=0, le=1)] = 0.5


class Speech(_Section):
    enabled: bool = True
    model_directory: str = ""
    model_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    language: Annotated[str, Field(pattern=r"^([a-z]{2,3})?$")] = "en"
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    max_minutes: Annotated[float, Field(gt=0, le=1440)] = 240.0


Language = Annotated[str, Field(pattern=r"^[a-z]{3}(_[a-z]{1,12}){0,2}$")]


class Ocr(_Section):
    """Text recognition for PDFs whose pages are pictures."""

    enabled: bool = False
    languages: Annotated[tuple[Language, ...], Field(min_length=1, max_length=8)] = ("eng",)
    max_pages: Annotated[int, Field(ge=1, le=5000)] = 200


class Fetch(_Section):
    enabled: bool = True
    allow: tuple[IPvAnyNetwork, ...] = ()
    tls_ca: str = ""
    max_bytes: Annotated[int, Field(ge=1, le=2**30)] = 32 * 2**20
    seconds: Seconds = 30.0
    pause_seconds: Annotated[float, Field(ge=0, le=60)] = 1.0
    recording_max_bytes: Annotated[int, Field(ge=0, le=16 * 2**30)] = 512 * 2**20
    recording_seconds: Annotated[float, Field(gt=0, le=86_400)] = 900.0


class Auth(_Section):
    public_read: bool = True
    session_hours: Annotated[float, Field(gt=0, le=720)] = 12.0
    session_days: Annotated[float, Field(gt=0, le=365)] = 7.0
    admin_user: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._@-]{0,63}$")] = "admin"


class Answer(_Section):
    """Who writes answers; the extractive provider needs nothing and nobody."""

    provider: Literal["extractive", "openai", "gemini"] = "extractive"
    url: Annotated[str, AfterValidator(_check_optional_url)] = ""
    model: str = ""
    tls_ca: str = ""
    passages: Annotated[int, Field(ge=1, le=20)] = 8
    max_tokens: Annotated[int, Field(ge=50, le=8000)] = 800
    concurrent: Annotated[int, Field(ge=1, le=1000)] = 8
    silent_seconds: Seconds = 15.0
    timeout_seconds: Seconds = 45.0

    @model_validator(mode="after")
    def _model_is_named(self) -> Self:
        if self.provider != "extractive" and not self.model:
            raise ValueError("name the model")
        if self.provider == "openai" and not self.url:
            raise ValueError("give the url of the endpoint, such as https://HOST:PORT/v1")
        return self


class Oidc(_Section):
    issuer: Annotated[str, AfterValidator(_check_optional_url)] = ""
    client_id: str = ""
    title: str = "your university account"
    scope: str = "openid profile email"
    name_claim: str = "preferred_username"
    roles_claim: str = "groups"
    admin: tuple[str, ...] = ()
    curator: tuple[str, ...] = ()
    reader: tuple[str, ...] = ("*",)
    tls_ca: str = ""
    timeout_seconds: Seconds = 10.0

    @model_validator(mode="after")
    def _client_is_known(self) -> Self:
        if self.issuer and not self.client_id:
            raise ValueError("oidc.issuer is set, oidc.client_id is not")
        return self


def _check_rate(rate: str) -> str:
    if rate:
        try:
            parse_rate(rate)
        except ValueError:
            raise ValueError('write it as "60/minute", or "" for no limit') from None
    return rate


# What preflight knows of a rate, on a machine that has no application (scripts/app-settings-table).
RATE_PATTERN = r"(?i)^(\s*\d+\s*(/|per)\s*\d*\s*(second|minute|hour|day|month|year)s?\s*)?$"
Rate = Annotated[
    str, AfterValidator(_check_rate), Field(json_schema_extra={"pattern": RATE_PATTERN})
]


class Limits(_Section):
    search: Rate = "600/minute"
    answer: Rate = "60/minute"
    login: Rate = "20/minute"
    account: Rate = "20/15 minutes"
    account_in_all: Rate = "500/15 minutes"
    upload: Rate = "60/hour"
    upload_bytes: Annotated[int, Field(ge=1, le=2**40)] = 64 * 2**20
    unlimited: tuple[IPvAnyNetwork, ...] = ()

    @property
    def rates(self) -> dict[str, RateLimitItem]:
        """Each limit on how often, by what it is for."""
        names = ("search", "answer", "login", "account", "account_in_all", "upload")
        return {name: parse_rate(rate) for name in names if (rate := getattr(self, name))}


class Retention(_Section):
    days: Annotated[int, Field(ge=0, le=36500)] = 0


class Health(_Section):
    disk_path: str = "/"
    disk_free_percent: Annotated[float, Field(ge=0, le=100)] = 5.0
    memory_free_percent: Annotated[float, Field(ge=0, le=100)] = 3.0
    timeout_seconds: Seconds = 2.0


class Traces(_Section):
    """Where spans are sent; empty: nowhere, and nothing of it is even imported."""

    endpoint: Annotated[str, AfterValidator(_check_optional_url)] = ""
    tls_ca: str = ""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0


class Logging(_Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    as_json: Annotated[bool, Field(alias="json")] = True


class Credentials(_Section):
    """Secrets; `repr` shows none of them."""

    opensearch_password: SecretStr | None = None
    opensearch_worker_password: SecretStr | None = None
    opensearch_accounts_password: SecretStr | None = None
    cache_password: SecretStr | None = None
    cache_sentinel_password: SecretStr | None = None
    signing_key: SecretStr | None = None
    signing_key_previous: SecretStr | None = None
    oidc_client_secret: SecretStr | None = None
    answer_key: SecretStr | None = None
    # uvicorn wants paths, and so never sees a key that is not its business
    tls_certificate: Path | None = None
    tls_key: Path | None = None


@dataclass(frozen=True)
class Login:
    """A user of OpenSearch and its password."""

    user: str
    password: SecretStr


def _login(user: str, password: SecretStr | None) -> Login | None:
    return Login(user, password) if user and password else None


class Settings(_Section):
    server: Server = Server()
    site: Site = Site()
    opensearch: OpenSearch
    cache: Cache = Cache(enabled=False)
    library: Library = Library()
    extract: Extract = Extract()
    jobs: Jobs = Jobs()
    search: Search = Search()
    fetch: Fetch = Fetch()
    speech: Speech = Speech()
    ocr: Ocr = Ocr()
    auth: Auth = Auth()
    oidc: Oidc = Oidc()
    limits: Limits = Limits()
    answer: Answer = Answer()
    retention: Retention = Retention()
    health: Health = Health()
    logging: Logging = Logging()
    traces: Traces = Traces()
    credentials: Credentials = Credentials()

    @model_validator(mode="after")
    def _secrets_are_there(self) -> Self:
        secrets = self.credentials
        if self.opensearch.user and self.library_login is None:
            raise ValueError("opensearch.user is set, the credential opensearch_password is not")
        if self.cache.enabled and self.cache.user and not secrets.cache_password:
            raise ValueError("cache.user is set, the credential cache_password is not")
        return self

    def check_serving(self) -> None:
        """What faces readers needs secrets that jobs and commands are not given."""
        secrets = self.credentials
        if self.oidc.issuer and not secrets.oidc_client_secret:
            raise SettingsError("oidc.issuer is set, the credential oidc_client_secret is not")
        if self.answer.provider == "gemini" and not secrets.answer_key:
            raise SettingsError("answer.provider is gemini, the credential answer_key is not set")
        if self.traces.endpoint and not _has_tracing():
            raise SettingsError(
                "traces.endpoint is set, the extra traces of research-app is not installed"
            )
        if self.server.tls and not (self.certificate_path and secrets.tls_key):
            raise SettingsError(
                "server.tls needs server.tls_certificate (or the credential tls_certificate)"
                " and the credential tls_key"
            )

    @property
    def library_login(self) -> Login | None:
        """Who this process is on the library's indices: the worker, where it has its password."""
        names, secrets = self.opensearch, self.credentials
        return _login(names.worker_user, secrets.opensearch_worker_password) or _login(
            names.user, secrets.opensearch_password
        )

    @property
    def accounts_login(self) -> Login | None:
        """Who it is on the accounts; where they have no user of their own, as on the library."""
        names, secrets = self.opensearch, self.credentials
        if not names.accounts_user:
            return self.library_login
        return _login(names.accounts_user, secrets.opensearch_accounts_password)

    @property
    def certificate_path(self) -> Path | None:
        """The server's certificate: the settings' path, else the credential."""
        if self.server.tls_certificate:
            return Path(self.server.tls_certificate)
        return self.credentials.tls_certificate


def _has_tracing() -> bool:
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def read_credentials(directory: Path | None) -> Credentials:
    """Read the secrets that are there; each is a file named as its field."""
    if directory is None:
        return Credentials()
    found: dict[str, Any] = {}
    for name in Credentials.model_fields:
        path = directory / name
        if not path.is_file():
            continue
        if name.startswith("tls_"):
            found[name] = path
        elif secret := path.read_text(encoding="utf-8").rstrip("\r\n"):
            found[name] = secret
        else:
            raise SettingsError(f"{path}: the credential is empty")
    return Credentials(**found)


def _explain(error: ValidationError, path: Path) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        key = ".".join(str(part) for part in problem["loc"]) or "settings"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "unknown key (see settings.example.toml)"
        elif problem["type"] == "missing":
            message = "required, and not set"
        lines.append(f"{path}: {key}: {message}")
    return "\n".join(lines)


def parse(data: dict[str, Any], credentials: Credentials, path: Path) -> Settings:
    """Turn the content of a settings file into settings, or say what is wrong with it."""
    if "credentials" in data:
        raise SettingsError(f"{path}: credentials: secrets are files, not settings")
    try:
        return Settings.model_validate({**data, "credentials": credentials})
    except ValidationError as error:
        raise SettingsError(_explain(error, path)) from None


def _check_certificates(loaded: Settings, path: Path) -> None:
    """Name the setting whose bundle of certificates cannot be used, before anything needs it."""
    for name in Settings.model_fields:
        bundle = getattr(getattr(loaded, name), "tls_ca", "")
        try:
            if bundle:
                ssl.create_default_context(cafile=bundle)
        except ssl.SSLError:
            raise SettingsError(
                f"{path}: {name}.tls_ca: {bundle} holds no certificate that can be read"
            ) from None
        except OSError as error:
            raise SettingsError(
                f"{path}: {name}.tls_ca: {bundle} cannot be read: {error.strerror}"
            ) from None


def load(path: Path | None = None, credentials_directory: Path | None = None) -> Settings:
    """Read the settings of this process from where its environment says they are."""
    if path is None:
        path = Path(os.environ.get(SETTINGS_VARIABLE) or DEFAULT_SETTINGS_PATH)
    if credentials_directory is None and os.environ.get(CREDENTIALS_VARIABLE):
        credentials_directory = Path(os.environ[CREDENTIALS_VARIABLE])
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        credentials = read_credentials(credentials_directory)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    loaded = parse(data, credentials, path)
    _check_certificates(loaded, path)
    return loaded
