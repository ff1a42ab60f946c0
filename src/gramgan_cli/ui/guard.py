"""Access control: only the browser that opened the printed URL may use the server.

The server listens on 127.0.0.1 only. This does not keep out other users of the computer, other websites (which can
send requests to 127.0.0.1) or host names that resolve to it (DNS rebinding), so every request is checked.
"""

from __future__ import annotations

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of all responses: no external resources, no embedding in other pages, no caching."""

SAFE_METHODS = {"GET", "HEAD"}


class Guard:
    """Middleware that passes on requests with a secret cookie, which is set in exchange for a one-time token.

    Args:
        app: the application.
        port: the server's port; the Host and Origin headers must name it.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._cookie_name = f"gramgan_{port}"
        self._token: str | None = secrets.token_urlsafe(24)
        self._secret = secrets.token_urlsafe(32)
        self.address = f"http://127.0.0.1:{port}/?token={self._token}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on a request. All responses get ``HEADERS``."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await (self._answer(HTTPConnection(scope)) or self._app)(scope, receive, send_with_headers)

    def _answer(self, request: HTTPConnection) -> ASGIApp | None:
        """Response to a refused request or one with the token; None passes the request on."""
        if request.headers.get("host") not in self._hosts:
            return PlainTextResponse("This server answers to 127.0.0.1 only.", 421)
        method, path = request.scope["method"], request.url.path
        if method not in SAFE_METHODS and not self._is_own(request.headers.get("origin")):
            return PlainTextResponse("Requests from other pages are refused.", 403)
        if path != "/" and request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("Requests from other pages are refused.", 403)
        known = self._knows(request.headers.get("cookie", ""))
        token = parse_qs(request.url.query).get("token", [None])[0]
        if path == "/" and token is not None and (known or self._take(token)):
            response = RedirectResponse("/", 303)
            response.set_cookie(self._cookie_name, self._secret, httponly=True, samesite="lax")
            return response
        if not known:
            return PlainTextResponse(
                "This page belongs to the browser that opened its address first. The address works only once.\n"
                "Stop gramgan ui in the terminal (Ctrl-C), start it again, and open the new address.\n",
                403,
            )
        return None

    def _is_own(self, origin: str | None) -> bool:
        return origin is not None and origin.removeprefix("http://") in self._hosts and origin.startswith("http://")

    def _take(self, token: str) -> bool:
        """Whether ``token`` is the one-time token, which is then used up."""
        if self._token is None or not hmac.compare_digest(self._token.encode(), token.encode()):
            return False
        self._token = None
        return True

    def _knows(self, cookies: str) -> bool:
        try:
            morsel = SimpleCookie(cookies).get(self._cookie_name)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(morsel.value.encode(), self._secret.encode())
