"""The desk's page, served to this machine alone.

Whoever has the address that is printed may read and mark: it holds a token, which the browser swaps for a cookie. Besides,
requests must name this very host (so that no other site's name leads here), a mark must come from the page itself (not
from a page of another server on this machine, which a browser takes for the same site), and nothing that a student wrote may
act: answers are sanitised, and a content security policy allows no script but the page's own.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import signal
from collections.abc import Callable
from importlib.resources import files
from typing import Any, cast
from urllib.parse import urlsplit

from tornado import httpserver, netutil, web

from course.desk.desk import Desk
from course.model import CourseError

ADDRESS = "127.0.0.1"
LARGEST = 1_000_000  # bytes of a request
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STATIC = {
    "": ("desk.html", "text/html; charset=utf-8"),
    "desk.css": ("desk.css", "text/css; charset=utf-8"),
    "desk.svg": ("desk.svg", "image/svg+xml"),
    "desk.js": ("desk.js", "text/javascript; charset=utf-8"),
}


class Guarded(web.RequestHandler):
    """What every answer of this server has in common: who may ask, and what a browser is told."""

    @property
    def desk(self) -> Desk:
        """Whose page it is."""
        return cast(Desk, self.settings["desk"])

    def set_default_headers(self) -> None:
        """Tell the browser what the page may do, and nothing of what runs here."""
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Refuse whoever came by another name, from another page, or without token and cookie."""
        port = self.settings["port"]
        hosts = {f"{ADDRESS}:{port}", f"localhost:{port}"}
        if self.request.host.lower() not in hosts:
            raise web.HTTPError(403, reason="Not by this name")
        origin = self.request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != self.request.host.lower():
            raise web.HTTPError(403, reason="Not from another page")
        if self.request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise web.HTTPError(403, reason="Not from another page")
        if self.request.method == "POST":
            kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip()
            if kind != "application/json":
                raise web.HTTPError(415, reason="Send JSON")
        if not self._is_known():
            raise web.HTTPError(403, reason="Open the address that course read printed")

    def _is_known(self) -> bool:
        cookie = self.get_cookie(f"desk-{self.settings['port']}", "") or ""
        return hmac.compare_digest(cookie.encode(), str(self.settings["token"]).encode())

    def write_error(self, status_code: int, **more: Any) -> None:
        """Answer with one sentence; what the reader can mend is told, what broke here is for the terminal."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        error = (more.get("exc_info") or (None, None))[1]
        said = str(error) if isinstance(error, CourseError) else self._reason
        self.finish(json.dumps({"error": said}))

    def _handle_request_exception(self, e: BaseException) -> None:
        if isinstance(e, CourseError):
            self.set_status(409)
            self.write_error(409, exc_info=(type(e), e, None))
        else:
            super()._handle_request_exception(e)

    def read_json(self) -> dict[str, Any]:
        """The request's body.

        Raises:
            CourseError: if it is no JSON object.
        """
        try:
            said = json.loads(self.request.body)
        except ValueError as error:
            raise CourseError("this is no JSON: load the page again") from error
        if not isinstance(said, dict):
            raise CourseError("this is no JSON object: load the page again")
        return said

    def send(self, what: Any) -> None:
        """Answer with JSON."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(what, ensure_ascii=False))


class Page(Guarded):
    """The page and what it is made of; the token in the address becomes a cookie here."""

    def _is_known(self) -> bool:
        token = self.get_query_argument("token", "")
        right = hmac.compare_digest(token.encode(), str(self.settings["token"]).encode())
        return right or super()._is_known()

    def get(self, name: str) -> None:
        """Send a file; with the token, a cookie and the way to the page without it."""
        if self.get_query_argument("token", ""):
            self.set_cookie(
                f"desk-{self.settings['port']}",
                self.settings["token"],
                httponly=True,
                samesite="Strict",
                path="/",
            )
            self.redirect("/")
            return
        file, kind = STATIC[name]
        self.set_header("Content-Type", kind)
        self.finish(files("course.desk").joinpath("static", file).read_bytes())


class Overview(Guarded):
    """The questions."""

    def get(self) -> None:
        """Send them, and with which the reader wants to begin."""
        self.send({"questions": self.desk.overview(), "first": self.settings["first"] or self.desk.first()})


class Sheet(Guarded):
    """One question."""

    def get(self) -> None:
        """Send all of it, or with `state` only what changes."""
        lesson, question = self.get_query_argument("lesson"), self.get_query_argument("question")
        asked = self.desk.state if self.get_query_argument("state", "") else self.desk.sheet
        self.send(asked(lesson, question))


class Marking(Guarded):
    """A keystroke: a mark."""

    def post(self) -> None:
        """Mark, and send how things stand."""
        said = self.read_json()
        try:
            answers = {str(k): str(v) for k, v in dict(said["answers"]).items()}
            words = (str(said["lesson"]), str(said["question"]), answers, float(said["score"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CourseError("this is no mark: load the page again") from error
        self.send(self.desk.mark(*words, str(said.get("comment", "")), bool(said.get("settles", False))))


class Undoing(Guarded):
    """A keystroke: the last mark is taken back."""

    def post(self) -> None:
        """Take it back, and send how things stand."""
        said = self.read_json()
        lesson, question = str(said.get("lesson", "")), str(said.get("question", ""))
        answers, note = self.desk.undo(lesson, question)
        self.send({"answers": answers, "note": note, "state": self.desk.state(lesson, question)})


class Nowhere(Guarded):
    """Every other address."""

    def get(self) -> None:
        """There is nothing."""
        raise web.HTTPError(404)


def application(
    desk: Desk, port: int, token: str = "", first: tuple[str, str] | None = None
) -> web.Application:
    """Put the desk's pages together.

    Args:
        desk: whose.
        port: on which it will listen; requests have to name it.
        token: for the address; a new one if empty.
        first: lesson and name of the question to begin with.

    Returns:
        For a server; `settings["token"]` is the token.
    """
    return web.Application(
        [
            (r"/(|desk\.css|desk\.js|desk\.svg)", Page),
            (r"/api/questions", Overview),
            (r"/api/question", Sheet),
            (r"/api/mark", Marking),
            (r"/api/undo", Undoing),
        ],
        default_handler_class=Nowhere,
        desk=desk,
        port=port,
        token=token or secrets.token_urlsafe(24),
        first=first,
    )


def listening(
    desk: Desk, port: int = 0, first: tuple[str, str] | None = None
) -> tuple[httpserver.HTTPServer, str]:
    """Begin to listen on this machine's own address; the event loop is the caller's.

    Args:
        desk: whose.
        port: 0 for any that is free.
        first: lesson and name of the question to begin with.

    Returns:
        The server, and the address to open.

    Raises:
        CourseError: if the port is taken.
    """
    try:
        sockets = netutil.bind_sockets(port, ADDRESS)
    except OSError as error:
        raise CourseError(
            f"port {port} cannot be listened on ({error.strerror}): name another, `--port N`, or none for any that is free"
        ) from error
    port = sockets[0].getsockname()[1]
    app = application(desk, port, first=first)
    server = httpserver.HTTPServer(app, max_body_size=LARGEST)
    server.add_sockets(sockets)
    return server, f"http://{ADDRESS}:{port}/?token={app.settings['token']}"


async def serve(
    desk: Desk, port: int, first: tuple[str, str] | None, ready: Callable[[str], None] = lambda _: None
) -> None:
    """Serve a desk until SIGINT or SIGTERM.

    Args:
        desk: whose.
        port: 0 for any that is free.
        first: lesson and name of the question to begin with.
        ready: told the address to open.
    """
    server, address = listening(desk, port, first)
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set))
    ready(address)
    await ended.wait()
    server.stop()
