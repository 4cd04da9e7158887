"""research-app user: the accounts of the library."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from research_app import logs, settings
from research_app.auth.accounts import NAME, OIDC_PREFIX, Account, AccountError
from research_app.auth.passwords import PasswordError, checked
from research_app.auth.service import Auth
from research_app.auth.user import Role
from research_app.index.client import IndexUnavailableError
from research_app.services import build

app = typer.Typer(
    help="The accounts of the library.", no_args_is_help=True, pretty_exceptions_enable=False
)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 3

NAME_RULE = (
    "1 to 64 of a-z, 0-9, '.', '_', '@' and '-', the first a letter or digit,"
    f" and not beginning with {OIDC_PREFIX}"
)

Name = Annotated[str, typer.Argument(help="Name of the account.", show_default=False)]
RoleOf = Annotated[Role, typer.Argument(help="What it may do.", show_default=False)]


def _fail(message: str, code: int) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(code)


def _run(work: Callable[[Auth], Awaitable[Any]]) -> Any:
    try:
        loaded = settings.load()
    except settings.SettingsError as error:
        raise _fail(str(error), EXIT_USAGE) from None
    logs.configure(loaded.logging)

    async def run() -> Any:
        parts = build(loaded)
        async with parts.connected():
            await parts.auth.accounts.create_index()
            return await work(parts.auth)

    try:
        return asyncio.run(run())
    except AccountError as error:
        raise _fail(str(error), EXIT_FAILED) from None
    except IndexUnavailableError as error:
        raise _fail(f"OpenSearch: {error}", EXIT_UNAVAILABLE) from None


def _password() -> str:
    """A password from the keyboard, twice, or a line of standard input; never an argument."""
    if sys.stdin.isatty():
        given = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    try:
        return checked(given)
    except PasswordError as error:
        raise _fail(str(error), EXIT_USAGE) from None


async def _existing(auth: Auth, name: str) -> Account:
    account = await auth.accounts.get(name)
    if account is None:
        raise AccountError(f"there is no account {name}: research-app user list shows them")
    return account


def _change(name: str, *, new_stamp: bool, **changes: Any) -> None:
    async def work(auth: Auth) -> None:
        account = await _existing(auth, name)
        await auth.accounts.replace(account.with_changes(new_stamp=new_stamp, **changes))

    _run(work)


@app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.READER,
    shown: Annotated[str, typer.Option(help="How the pages call them.")] = "",
) -> None:
    """Add an account; its password comes from the keyboard or standard input."""
    if not NAME.fullmatch(name) or name.startswith(OIDC_PREFIX):
        raise _fail(f"{name} will not do as a name: {NAME_RULE}", EXIT_USAGE)
    password = _password()

    async def work(auth: Auth) -> None:
        hashed = await auth.passwords.hash(password)
        await auth.accounts.add(Account(name, role, shown=shown, password=hashed))

    _run(work)
    typer.echo(f"added {name} ({role})")


@app.command()
def first() -> None:
    """Make the first administrator where there is no such account; its password comes as above."""
    password = _password()

    async def work(auth: Auth) -> tuple[str, bool]:
        return auth.settings.admin_user, await auth.bootstrap(password)

    name, made = _run(work)
    typer.echo(f"added {name} (admin)" if made else f"{name} is there")


@app.command("list")
def list_accounts() -> None:
    """List the accounts."""

    async def work(auth: Auth) -> list[Account]:
        return await auth.accounts.list()

    for account in _run(work):
        state = "disabled" if account.disabled else "enabled"
        typer.echo(
            f"{account.name:<24} {account.role:<8} {account.origin:<6} {state:<9}"
            f" {account.changed}  {account.shown}".rstrip()
        )


@app.command()
def passwd(name: Name) -> None:
    """Give an account a new password; whoever is signed in with the old one is signed out."""
    password = _password()

    async def work(auth: Auth) -> None:
        account = await _existing(auth, name)
        if account.origin != "local":
            raise AccountError(f"{name} signs in elsewhere, and has no password here")
        hashed = await auth.passwords.hash(password)
        await auth.accounts.replace(account.with_changes(new_stamp=True, password=hashed))

    _run(work)
    typer.echo(f"{name} has a new password")


@app.command()
def role(name: Name, role: RoleOf) -> None:
    """Change what an account may do; it counts within seconds."""
    _change(name, new_stamp=False, role=role)
    typer.echo(f"{name} is {role}")


@app.command()
def disable(name: Name) -> None:
    """Let nobody use an account any more; who is signed in with it is signed out."""
    _change(name, new_stamp=True, disabled=True)
    typer.echo(f"{name} is disabled")


@app.command()
def enable(name: Name) -> None:
    """Let an account be used again."""
    _change(name, new_stamp=True, disabled=False)
    typer.echo(f"{name} is enabled")


@app.command("sign-out")
def sign_out(name: Name) -> None:
    """End every sign-in of an account; its password stays."""
    _change(name, new_stamp=True)
    typer.echo(f"{name} is signed out everywhere")
