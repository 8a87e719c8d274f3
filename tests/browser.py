"""Chromium without a window, driven through its DevTools protocol over two pipes: no library.

with Browser() as page:
    page.open(Path("report.html"))
    page.click("th button")
    page.evaluate("document.title")
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Names of the program.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

#: Seconds for an answer.
PATIENCE = 120.0

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--remote-debugging-pipe",
)  # fmt: skip

#: Chromium reads commands from descriptor 3 and writes answers to descriptor 4.
START = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def program() -> str | None:
    """Return the path of Chromium, if there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page; its requests, errors and messages are kept."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs, self._commands = _high(os.pipe())
        self._answers, ours = _high(os.pipe())
        found = program()
        assert found is not None
        self._process = subprocess.Popen(
            [
                sys.executable, "-c", START, str(theirs), str(ours), found, *OPTIONS,
                f"--user-data-dir={self._home.name}", "about:blank",
            ],
            pass_fds=(theirs, ours), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs)
        os.close(ours)
        self._buffer, self._number, self._session = b"", 0, None
        self.events: list[dict[str, Any]] = []
        targets = self.command("Target.getTargets")["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        attached = self.command("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.command(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
        os.close(self._commands)
        os.close(self._answers)
        self._home.cleanup()

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result; events before it are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        for answer in self._messages():
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self.events.append(answer)
        raise AssertionError(f"no answer to {method}")

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" not in self._buffer:
                read = os.read(self._answers, 1 << 16)
                assert read, "Chromium has ended"
                self._buffer += read
            message, _, self._buffer = self._buffer.partition(b"\0")
            yield json.loads(message)

    def open(self, path: Path) -> None:
        """Open a file and wait until it has loaded."""
        self.command("Page.navigate", url=path.resolve().as_uri())
        until = time.monotonic() + PATIENCE
        while self.evaluate("document.readyState + location.protocol") != "completefile:":
            assert time.monotonic() < until, "the page does not load"

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression on the page."""
        answer = self.command("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def screen(self, width: int, height: int, *, mobile: bool = False, dark: bool = False) -> None:
        """Be a screen of this size, light or dark, without animations."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=mobile,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {
            "name": "prefers-reduced-motion",
            "value": "reduce",
        }  # a click hits what it aims at
        self.command("Emulation.setEmulatedMedia", features=[scheme, still])

    def point(self, selector: str, x: float = 0.5, y: float = 0.5) -> dict[str, float]:
        """Scroll to an element and return a point of it, given as parts of its width and height."""
        return self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', inline: 'center'});"
            "const box = e.getBoundingClientRect();"
            f"return {{x: box.x + {x} * box.width, y: box.y + {y} * box.height}}; }})()"
        )

    def hover(self, selector: str, x: float = 0.5, y: float = 0.5) -> None:
        """Move the mouse onto an element."""
        self._mouse("mouseMoved", self.point(selector, x, y))

    def click(self, selector: str) -> None:
        """Click on an element with the mouse."""
        point = self.point(selector)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self._mouse(kind, point)

    def press(self, key: str, code: int) -> None:
        """Press a key, given by its name and its Windows key code."""
        typed = {"text": "\r"} if key == "Enter" else {}  # without it no button is pressed
        for kind in ("keyDown", "keyUp"):
            self.command(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **typed
            )

    def _mouse(self, kind: str, point: dict[str, float]) -> None:
        button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        self.command("Input.dispatchMouseEvent", type=kind, **point, **button)

    def requested(self) -> list[str]:
        """Return the addresses that the page has asked for, without its own."""
        sent = [each for each in self.events if each["method"] == "Network.requestWillBeSent"]
        urls = [each["params"]["request"]["url"] for each in sent]
        return [url for url in urls if not url.startswith(("file:", "about:", "data:"))]

    def complaints(self) -> list[str]:
        """Return uncaught errors and what the browser logged as an error."""
        thrown = [each for each in self.events if each["method"] == "Runtime.exceptionThrown"]
        logged = [
            each for each in self.events
            if each["method"] == "Log.entryAdded" and each["params"]["entry"]["level"] == "error"
        ]  # fmt: skip
        return [json.dumps(each["params"]) for each in (*thrown, *logged)]

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page."""
        size = self.command("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.command("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))


def _high(ends: tuple[int, int]) -> tuple[int, int]:
    """Move both ends of a pipe to descriptors above those that Chromium uses."""
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved  # type: ignore[return-value]  # two of them
