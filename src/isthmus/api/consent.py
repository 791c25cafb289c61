"""Routes for a person's consent: where to send them, and where they come back."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from isthmus.api.caller import Admin, Running, runtime_of
from isthmus.errors import IsthmusError
from isthmus.operate import consent

router = APIRouter(tags=["connections"])
back_router = APIRouter(tags=["connections"])

_PAGE = "<!doctype html><meta charset=utf-8><title>Isthmus</title><p>{0}</p>"


class Asked(BaseModel):
    """Where this service is reached by the person's browser."""

    base_url: str = Field(description="The address of this service; the person comes back to /consent/NAME under it.")


class Begun(BaseModel):
    """A login that waits for the person."""

    url: str = Field(description="Where to send the person.")
    redirect_uri: str = Field(description="Where they come back; the other system may want it registered.")


@router.post("/connections/{name}/authorize", summary="Begin a person's consent: where to send them.")
async def authorize(name: str, given: Asked, runtime: Running, caller: Admin) -> Begun:
    login = await consent.begin(runtime, name, f"{given.base_url.rstrip('/')}/consent/{name}")
    return Begun(url=login.url, redirect_uri=login.redirect_uri)


@back_router.get("/consent/{name}", summary="Where a person comes back with their consent.")
async def back(name: str, request: Request) -> HTMLResponse:
    """Needs no token: only who was sent off knows the state, and it works once."""
    try:
        await consent.end(runtime_of(request), name, dict(request.query_params), "consent in the browser")
    except IsthmusError as error:
        return HTMLResponse(_PAGE.format(f"{escape(str(error))}. {escape(error.hint)}"), status_code=400)
    return HTMLResponse(_PAGE.format(f"{escape(name)} may be used from now on. You can close this window."))
