"""A real headless Chromium, controlled over the DevTools protocol; all requests of its pages are recorded."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from support.packages import missing, require_program
from websockets.sync.client import ClientConnection, connect

START_SECONDS = 180.0
WAIT_SECONDS = 120.0
LOOK_SECONDS = 0.05
SOCKET: dict[str, Any] = {"max_size": 64 * 1024 * 1024, "ping_interval": None, "close_timeout": 1}
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *("--disable-extensions", "--no-default-browser-check", "--remote-debugging-port=0"),
)


class Tab:
    """One page of the browser. Every request and console message is recorded."""

    def __init__(self, socket: ClientConnection) -> None:
        self.requests: list[str] = []
        self.headers: list[dict[str, Any]] = []
        self.sockets: list[str] = []
        self.complaints: list[str] = []
        self._socket = socket
        self._number = 0
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """Call a DevTools method; return its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=WAIT_SECONDS))
            if message.get("id") == self._number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._note(message)

    def listen(self, seconds: float) -> None:
        """Process the browser's events."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                self._note(json.loads(self._socket.recv(timeout=left)))
            except TimeoutError:
                return

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
                self.headers.append(params["request"]["headers"])
            case "Network.webSocketCreated":
                self.sockets.append(params["url"])
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.complaints.append(str(details.get("exception", {}).get("description") or details["text"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                told = (each.get("value") or each.get("description") for each in params["args"])
                self.complaints.append(" ".join(map(str, told)))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                entry = params["entry"]
                self.complaints.append(f"{entry['text']} {entry.get('url', '')}")

    # What a person does and sees.

    def open(self, url: str) -> None:
        """Navigate to an address, and wait until its document is loaded."""
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, awaited if it is a promise."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, f"{expression}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def wait_for(self, expression: str, *, seconds: float = WAIT_SECONDS) -> Any:
        """Poll until an expression is true; return its value, or True for an element, which has none."""
        expression = f"Promise.resolve({expression}).then((found) => found instanceof Node || found)"
        deadline = time.monotonic() + seconds
        while True:
            found = self.evaluate(expression)
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{expression} did not become true; the console says {self.complaints}")
            self.listen(LOOK_SECONDS)

    def text(self, selector: str) -> str:
        """Return the text that an element shows."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def click(self, selector: str) -> None:
        """Click the middle of an element, as a pointer does."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        x, y = self.evaluate(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        self.click_at(x, y)

    def click_at(self, x: float, y: float) -> None:
        """Press and release the main button."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type into the focused element."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, code: int = 0) -> None:
        """Press a key."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        down = {"type": "keyDown", "key": key, "windowsVirtualKeyCode": code or {"Enter": 13, "Escape": 27}.get(key, 0)}
        self.call("Input.dispatchKeyEvent", **down, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def look_as(
        self, width: int, height: int, *, theme: str = "light", is_calm: bool = False, ratio: float = 1
    ) -> None:
        """Emulate a window size and the user's preferences."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=ratio, mobile=width < 500,
        )  # fmt: skip
        features = [
            {"name": "prefers-color-scheme", "value": theme},
            {"name": "prefers-reduced-motion", "value": "reduce" if is_calm else "no-preference"},
        ]
        self.call("Emulation.setEmulatedMedia", features=features)

    def picture(self, path: Path) -> None:
        """Write a screenshot."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def chromium(*flags: str) -> Iterator[Callable[[], Tab]]:
    """Run a browser with its own profile during a ``with``; call it for a fresh tab."""
    program = require_program("chromium", "chromium")
    profile = Path(tempfile.mkdtemp(prefix="swim-chromium-"))
    browser = subprocess.Popen(
        [program, *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = _debugger(browser, profile)
        with ExitStack() as sockets:
            control = sockets.enter_context(connect(address, **SOCKET))

            def open_tab() -> Tab:
                control.send(json.dumps({"id": 1, "method": "Target.createTarget", "params": {"url": "about:blank"}}))
                while (answer := json.loads(control.recv(timeout=WAIT_SECONDS))).get("id") != 1:
                    pass
                root = address.partition("/devtools/")[0]
                page = f"{root}/devtools/page/{answer['result']['targetId']}"
                return Tab(sockets.enter_context(connect(page, **SOCKET)))

            yield open_tab
    finally:
        browser.terminate()
        try:
            browser.wait(10)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()
        shutil.rmtree(profile, ignore_errors=True)


def _debugger(browser: subprocess.Popen[bytes], profile: Path) -> str:
    """Wait until the browser prints its debugger's address."""
    deadline = time.monotonic() + START_SECONDS
    file = profile / "DevToolsActivePort"
    while time.monotonic() < deadline:
        if browser.poll() is not None:
            missing(f"the browser ended with {browser.returncode} before it could be used")
        lines = file.read_text("utf-8").split("\n") if file.exists() else []
        if len(lines) == 2 and lines[1]:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(LOOK_SECONDS)
    raise AssertionError(f"the browser did not start within {START_SECONDS:g} s")
