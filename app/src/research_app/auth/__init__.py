"""Who may do what.

`current_user(request)` is the user or None; `require("curator")` is a dependency for a route that
needs somebody of that role:

    @router.post("/api/jobs")
    async def submit(user: Annotated[User, Depends(require("curator"))]) -> ...
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import HTTPException, Request

from research_app.auth.user import Role, User
from research_app.index.client import IndexUnavailableError

__all__ = ["Role", "User", "current_user", "require"]

SIGN_IN = "Please sign in."
NOT_ALLOWED = "Your account may not do this."
CHALLENGE = {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"}


def current_user(request: Request) -> User | None:
    """Who sent this request, as the middleware of research_app.auth.middleware found out."""
    user: User | None = getattr(request.state, "user", None)
    return user


def require(role: Role | str = Role.READER) -> Callable[[Request], User]:
    """A dependency: the user, if they are of that role or of one that may more.

    Otherwise a program gets 401 or 403, and a reader the sign-in page (see errors.py).
    """
    needed = Role(role)

    def required(request: Request) -> User:
        user = current_user(request)
        if user is None and getattr(request.state, "user_unknown", False):
            raise IndexUnavailableError("whose token it is cannot be looked up")
        if user is None:
            raise HTTPException(401, SIGN_IN, CHALLENGE)
        if not user.role.covers(needed):
            raise HTTPException(403, NOT_ALLOWED)
        return user

    return required
