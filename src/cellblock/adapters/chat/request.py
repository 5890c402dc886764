"""Who asks: what every route of this door needs to know of a request."""

from typing import Annotated

from fastapi import Depends, Request


def owner_of(request: Request) -> str:
    """Whoever the credentials name; the middleware has put it there."""
    return str(request.state.owner)


Owner = Annotated[str, Depends(owner_of)]
