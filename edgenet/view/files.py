"""What the page is made of: files that lie beside this module, under ``page``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from aiohttp import web

_TYPES = {
    "page.html": "text/html",
    "token.html": "text/html",
    "view.css": "text/css",
    "view.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
# addresses that show nothing of the camera, so that the form for the token can use them
OPEN = {
    "/view.css": "view.css",
    "/view.js": "view.js",
    "/favicon.svg": "icon.svg",
    "/favicon.ico": "icon.svg",
}
_WRONG = '<p class="wrong" role="alert">That is not the token.</p>'


def routes() -> list[web.RouteDef]:
    """The page and its parts."""
    return [web.get("/", _page), *(web.get(path, _part) for path in OPEN)]


def token_form(*, wrong: bool) -> web.Response:
    """The page that asks for the token; ``wrong`` when one was given."""
    text = _read("token.html").replace("<!-- wrong -->", _WRONG if wrong else "")
    return web.Response(status=401, text=text, content_type="text/html", charset="utf-8")


async def _page(request: web.Request) -> web.Response:
    return _response("page.html")


async def _part(request: web.Request) -> web.Response:
    return _response(OPEN[request.path])


def _response(name: str) -> web.Response:
    return web.Response(text=_read(name), content_type=_TYPES[name], charset="utf-8")


@cache
def _read(name: str) -> str:
    return files("edgenet.view").joinpath("page", name).read_text(encoding="utf-8")
