"""Starts the server of the page: on this machine alone unless told otherwise, asking nothing of any other machine."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
import warnings
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path

from dashboard.visitors import MOST_VISITORS, VISITORS_VARIABLE
from dashboard.wishes import RUNS_VARIABLE, SCENARIO_VARIABLE
from sim.errors import InputError, RoutepactError
from sim.experiments.record import MANIFEST, read_run
from sim.experiments.scenarios import find_scenario

_SETTINGS: Mapping[str, str] = {
    # Solara tells its makers about every start unless told not to.
    "SOLARA_TELEMETRY_MIXPANEL_ENABLE": "False",
    "SOLARA_MODE": "production",
    # A session that ends abruptly (a lid closed) keeps its models until then.
    "SOLARA_KERNEL_CULL_TIMEOUT": "5m",
    "SOLARA_THEME_SHOW_BANNER": "False",
    "SOLARA_THEME_TITLE": "routepact",
    "SOLARA_APP": "dashboard.page",
}
_GRACE_S = 1
_WARM_UP_LOOKS_S = 0.1
_MOST_PORT = 65535


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the page until Ctrl-C; return the exit status."""
    parser = argparse.ArgumentParser(prog="routepact dashboard", description="Open the live page.")
    parser.add_argument(
        "show", nargs="?", metavar="SCENARIO|RUN", help="a scenario file, a bundled scenario's name, a run folder"
    )
    parser.add_argument("--with", dest="other", metavar="RUN", help="a second run folder, beside the first")
    parser.add_argument("--port", type=int, default=0, help="a free one is taken where none is given")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--no-open", action="store_true", help="do not open a browser")
    parser.add_argument("--visitors", type=int, default=MOST_VISITORS, help="most visitors at once (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        shown = what_to_show(options.show, options.other)
        if options.visitors < 1:
            raise InputError(f"{options.visitors}", source="--visitors", allowed="a whole number from 1")
        listener = bind(options.host, options.port)
    except RoutepactError as error:
        print(f"routepact: {error}", file=sys.stderr)
        return error.exit_status
    os.environ.update(shown | {VISITORS_VARIABLE: str(options.visitors)})
    return serve(listener, open_browser=not options.no_open)


def what_to_show(show: str | None, other: str | None) -> dict[str, str]:
    """Return the environment that tells the page what the command line asks for.

    Raises
    ------
    InputError
        There is no such scenario or run folder, or a second one without a first.
    """
    if show is None:
        if other is not None:
            raise InputError(f"{other!r} without a first run", source="--with", allowed="dashboard RUN --with RUN")
        return {}
    if other is None and not is_run(show):
        find_scenario(show)
        return {SCENARIO_VARIABLE: show}
    runs = [name for name in (show, other) if name is not None]
    for name in runs:
        read_run(Path(name))
    return {RUNS_VARIABLE: "\n".join(str(Path(name).resolve()) for name in runs)}


def is_run(name: str) -> bool:
    """Return whether a name from the command line is a run folder, and no scenario."""
    return Path(name).is_dir() and (Path(name) / MANIFEST).exists()


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens already, so that a browser that comes early waits instead of failing; port 0 takes a free one.

    Raises
    ------
    InputError
        The port is taken or no port, or the host is none of this machine.
    """
    if not 0 <= port <= _MOST_PORT:
        raise InputError(f"{port}", source="--port", allowed=f"a whole number from 0 (any free port) to {_MOST_PORT}")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        raise InputError(f"cannot listen on {host}, port {port}: {error.strerror or error}", source="--host, --port") from None
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the address of the page in a browser."""
    host, port = listener.getsockname()[:2]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def serve(listener: socket.socket, *, open_browser: bool) -> int:
    """Serve the page on a listening socket until interrupted; return the exit status."""
    os.environ.update(_SETTINGS)
    os.environ["SERVER_NAME"], os.environ["SERVER_PORT"] = map(str, listener.getsockname()[:2])
    # Solara warns about a cookie for pages inside other pages, which this one never is.
    warnings.filterwarnings("ignore", message="Cookies with samesite=none", category=UserWarning)
    # Solara reads its settings when it is imported. All that a visit needs is imported now, because nobody waits for it yet.
    import uvicorn

    import dashboard.page
    import dashboard.static_show  # noqa: F401

    config = uvicorn.Config(
        "solara.server.starlette:app",
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
        ws_per_message_deflate=False,
    )
    print(f"routepact dashboard: {address_of(listener)} (Ctrl-C ends it)", flush=True)
    if open_browser:
        webbrowser.open(address_of(listener))
    threading.Thread(target=_warm_up, name="routepact warm-up", daemon=True).start()
    server = uvicorn.Server(config)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:  # the way to end it
        return 0
    return 0 if server.started else 1


def _warm_up() -> None:
    """Live the smallest scenario once, so that the compiled kernels are there before the first visitor needs them."""
    from dashboard.controller import Controller
    from dashboard.scene import Phase
    from dashboard.wishes import Wish

    done = threading.Event()

    def look() -> None:
        scene = controller.scene
        if scene.phase is Phase.READY and not (scene.playing or scene.at_rest):
            controller.play()
        elif scene.phase is Phase.FAILED or scene.at_rest:
            done.set()

    controller = Controller(Wish("braess"), lambda: None, days_per_s=1000.0)
    while not done.wait(_WARM_UP_LOOKS_S):
        look()
    controller.close()
