"""A headless Chromium, driven over its DevTools protocol: what tests and screenshots need of it.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

START_S = 60.0
WAIT_S = 30.0
COMMAND = (
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0"),
)


class CallError(Exception):
    """The browser refused a call, as it does while it goes from one page to the next."""


class Page:
    """One tab.

    Attributes:
        requests: the address of everything that the page asked for.
        complaints: what it wrote to the console or threw.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._socket = socket
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def listen(self) -> None:
        """Sort what the browser says into answers and events, until it is gone."""
        async for said in self._socket:
            message = said.json()
            if "id" in message:
                answer = self._answers.pop(message["id"])
                if not answer.done():
                    answer.set_result(message)
            else:
                self._take(message["method"], message["params"])

    def _take(self, event: str, told: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif event == "Network.webSocketCreated":
            self.requests.append(told["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled":
            self.complaints.append(str(told["args"]))
        elif event == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method of the protocol.

        Raises:
            CallError: it was refused.
        """
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": arguments})
        async with asyncio.timeout(WAIT_S):
            message = await answer
        if "error" in message:
            raise CallError(f"{method}: {message['error']}")
        result: dict[str, Any] = message["result"]
        return result

    async def open(self, url: str) -> None:
        """Go to an address and wait until it is loaded."""
        for domain in ("Page", "Network", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)
        await self.until("location.href != 'about:blank' && document.readyState == 'complete'")

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, a promise's too."""
        told = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in told:
            raise RuntimeError(f"{expression}: {told['exceptionDetails']}")
        return told["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true.

        Raises:
            TimeoutError: it is not after ``WAIT_S`` seconds; names the expression.
        """
        try:
            async with asyncio.timeout(WAIT_S):
                while not await self._holds(expression):
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise TimeoutError(f"never true: {expression}") from error

    async def _holds(self, expression: str) -> bool:
        try:
            return bool(await self.evaluate(expression))
        except CallError:
            return False

    async def look(self, width: int, height: int, *, scale: float = 1, dark: bool = False) -> None:
        """Set the size of the window, in CSS pixels, and the colours that the reader prefers."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=width < 600,
        )  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[feature])

    async def screenshot(self, path: Path, *, quality: int = 80) -> None:
        """Save what the window shows as WebP."""
        shot = await self.call("Page.captureScreenshot", format="webp", quality=quality)
        path.write_bytes(base64.b64decode(shot["data"]))


@asynccontextmanager
async def chromium() -> AsyncIterator[Page]:
    """An empty tab of a browser that ends with the block."""
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, f"--user-data-dir={profile}", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            port = await _port(Path(profile) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                url = await _tab(session, port)
                async with session.ws_connect(url, max_msg_size=0) as socket:
                    page = Page(socket)
                    listening = asyncio.create_task(page.listen())
                    yield page
                await listening
        finally:
            process.kill()
            await process.wait()


async def _port(file: Path) -> int:
    async with asyncio.timeout(START_S):
        while not (file.exists() and (lines := file.read_text().splitlines())):
            await asyncio.sleep(0.05)
    return int(lines[0])


async def _tab(session: aiohttp.ClientSession, port: int) -> str:
    async with asyncio.timeout(START_S):
        while True:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                for tab in await answer.json():
                    if tab["type"] == "page":
                        url: str = tab["webSocketDebuggerUrl"]
                        return url
            await asyncio.sleep(0.05)
