"""Serves the page, to this machine alone by default, and sends nothing anywhere else."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from slmkit.api import MissingDependencyError, SlmkitError
from slmkit.web.limits import MOST_BYTES
from slmkit.web.offer import Offer

HERE = Path(__file__).parent
Message = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]
SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_SSR_MODE": "False",
}
"""Read by gradio when it is imported."""
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""The browser itself refuses whatever of gradio would go to another server."""
GRACE_S = 3
"""Seconds that open connections have when the server ends."""


def check_gradio() -> None:
    """Raise MissingDependencyError where the page cannot be made."""
    if not all(map(_installed, ("gradio", "uvicorn", "fastapi"))):
        raise MissingDependencyError(
            "the web page needs gradio, which is not installed: pip install 'slmkit[demo]'"
        )


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket at that address; port 0 is any free one. Raises SlmkitError."""
    try:
        kind = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=kind)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SlmkitError(
            f"{host}:{port}: cannot be listened at ({reason}): give another --port or --host"
        ) from None


def serve(offer: Offer, listening: socket.socket, tell: Callable[[str], None]) -> None:
    """Serve until interrupted; `tell` is called with the address. Sounds are gone afterwards."""
    os.environ.update(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="slmkit-serve-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        server = _server(guarded(application(offer)))
        host, port = listening.getsockname()[:2]
        tell(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        # uvicorn gives a signal back when it has ended; so SIGTERM cleans up as Ctrl-C does
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            server.run(sockets=[listening])
        finally:
            signal.signal(signal.SIGTERM, before)


def application(offer: Offer) -> Any:
    """The page as an ASGI application."""
    import fastapi
    import gradio

    from slmkit.web.page import build_page, theme

    outer = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    return gradio.mount_gradio_app(
        outer,
        build_page(offer),
        path="/",
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=MOST_BYTES,
        ssr_mode=False,
        enable_monitoring=False,
        theme=theme(),
        css=(HERE / "style.css").read_text(),
        js=(HERE / "labels.js").read_text(),
    )


def guarded(app: App) -> App:
    """The same application, whose every answer carries `POLICY`."""

    async def outer(scope: Message, receive: Any, send: Any) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [
                    (b"content-security-policy", POLICY.encode()),
                    (b"referrer-policy", b"no-referrer"),
                    (b"x-content-type-options", b"nosniff"),
                ]
                message = {**message, "headers": [*message.get("headers", ()), *own]}
            await send(message)

        await app(scope, receive, sent if scope["type"] == "http" else send)

    return outer


def _server(app: App) -> Any:
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=GRACE_S)
    )
