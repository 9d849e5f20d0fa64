"""Who may see the page.

A view on loopback without a token answers only to names of this machine itself, or a web page that
the user visits elsewhere could read the camera by letting its own name resolve to 127.0.0.1 (DNS
rebinding).  Any other view demands a token, which such a page does not have.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from edgenet.listening import names_this_machine
from edgenet.view import files

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KEPT_S = 30 * 24 * 3600
# a reader without the token gets no data from these
OPEN = frozenset({"/healthz", "/login", *files.OPEN})


class Access:
    """Lets a request through or refuses it.

    The token is taken from ``Authorization: Bearer``, from the cookie, or from ``?token=``, in this
    order; the page that was asked for with ``?token=`` sets the cookie and strips the address.

    Args:
        token: what must be shown; None where the Host header is checked instead.
        port: of the server; browsers share cookies between the ports of one host.
    """

    def __init__(self, token: str | None, port: int) -> None:
        self._token = token
        self._cookie = f"edgenet-view-{port}"

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse with 403 who comes from another site, with 401 who shows no token."""
        if _from_another_site(request):
            return _text(403, "this address answers to no other web site's pages")
        if self._token is None:
            if not names_this_machine(request.host):
                return _text(403, "this view answers to localhost, 127.0.0.1 and [::1] only")
        elif request.path not in OPEN and not self._shows_token(request):
            return _ask_for_token(request)
        response = await handler(request)
        if self._token is not None and request.path == "/" and not response.prepared:
            self._remember(response)
        return response

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Take the token from the form that stands in for the page."""
        form = await request.post()
        given = form.get("token")
        if self._token is not None and not (isinstance(given, str) and self._matches(given)):
            return files.token_form(wrong=True)
        response = web.Response(status=303, headers={hdrs.LOCATION: "/"})
        if self._token is not None:
            self._remember(response)
        return response

    def _shows_token(self, request: web.Request) -> bool:
        scheme, _, bearer = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        shown = (
            bearer.strip() if scheme.lower() == "bearer" else None,
            request.cookies.get(self._cookie),
            request.query.get("token"),
        )
        return any(self._matches(one) for one in shown if one is not None)

    def _matches(self, given: str) -> bool:
        expected = (self._token or "").encode()
        return hmac.compare_digest(given.strip().encode("utf-8", "replace"), expected)

    def _remember(self, response: web.StreamResponse) -> None:
        response.set_cookie(
            self._cookie, self._token or "", max_age=KEPT_S, httponly=True, samesite="Strict"
        )


def _from_another_site(request: web.Request) -> bool:
    """Whether a browser sent this for a page of another origin.

    Web sockets know no same-origin policy, and a picture can be embedded anywhere; a link that
    the user follows is let through.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin.partition("://")[2].lower() != request.host.lower():
        return True
    fetch = (request.headers.get("Sec-Fetch-Site"), request.headers.get("Sec-Fetch-Mode"))
    return fetch[0] == "cross-site" and fetch[1] != "navigate"


def _ask_for_token(request: web.Request) -> web.Response:
    if request.path == "/" and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
        return files.token_form(wrong="token" in request.query)
    response = _text(401, "this view needs its token; send it as Authorization: Bearer TOKEN")
    response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    return response


def _text(status: int, sentence: str) -> web.Response:
    return web.Response(status=status, text=sentence + "\n")
