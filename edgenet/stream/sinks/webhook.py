"""Results as HTTP POST requests, from a thread of their own."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from edgenet.errors import MissingPackage, UsageError
from edgenet.runner import Frame
from edgenet.stream.result import Result
from edgenet.stream.sinks.document import document, encode
from edgenet.stream.sinks.pace import Pace
from edgenet.stream.sinks.secret import WEBHOOK_TOKEN, secret
from edgenet.stream.sinks.setting import Setting
from edgenet.stream.sinks.url import parse

if TYPE_CHECKING:
    from requests import PreparedRequest, Session

TOKEN = WEBHOOK_TOKEN
QUEUE = 32
_EVERY_S = 1.0
_TIMEOUT_S = (3.05, 10.0)
_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
_FAREWELL_S = 0.4
_TOO_MANY = 429


class Webhook:
    """Posts results as JSON; https certificates are verified.

    The queue holds ``QUEUE`` results and drops the oldest, so a server that is slow or away costs
    the loop nothing.  A request that fails for want of a connection, with 429 or 5xx is repeated
    after growing waits; another refusal drops the result.  Redirects are refusals, since they
    would turn a POST into a GET.

    Args:
        text: ``http://...`` or ``https://...``; after # ``every``, seconds between results of the
            same label.
        setting: the run.

    Raises:
        MissingPackage: requests is not installed.
        UsageError: the address is wrong.
    """

    def __init__(self, text: str, setting: Setting) -> None:
        address = parse(text, secret=TOKEN, options=("every",))
        if address.url.user is not None:
            raise UsageError(
                f"{address.url.shown}: a user in the address is not sent; leave it out, and set"
                f" {TOKEN} where the server wants a token"
            )
        self._url, self._name = address.url.bare, address.url.shown
        self._say = setting.say
        self._pace = Pace(address.seconds("every", _EVERY_S))
        self._session = _session(secret(TOKEN))
        self._queue: deque[bytes] = deque(maxlen=QUEUE)
        self._changed = threading.Condition()
        self._closed = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)
        self._thread.start()

    def publish(self, result: Result, frame: Frame) -> None:
        """Queue a result, where its pace lets it pass."""
        del frame
        if not self._pace.due(result.label, time.monotonic()):
            return
        body = encode(document(result))
        with self._changed:
            self._queue.append(body)
            self._changed.notify()

    def close(self) -> None:
        """Send what is queued, for a moment; what the server does not take by then is left out."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(_FAREWELL_S)

    def _run(self) -> None:
        with self._session:
            self._send()

    def _send(self) -> None:
        failures = 0
        while (body := self._next()) is not None:
            reason, again = self._post(body)
            if reason is None:
                failures = 0
                self._tell_back()
                continue
            self._tell_failing(reason, again=again)
            if not again:
                continue
            with self._changed:
                if self._closed:
                    return
                if len(self._queue) < QUEUE:
                    self._queue.appendleft(body)
                self._changed.wait_for(
                    lambda: self._closed, _DELAYS_S[min(failures, len(_DELAYS_S) - 1)]
                )
            failures += 1

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            return self._queue.popleft() if self._queue else None

    def _post(self, body: bytes) -> tuple[str | None, bool]:
        """Why it failed, None if it did not; and whether the same again may help."""
        import requests

        try:
            with self._session.post(
                self._url, data=body, timeout=_TIMEOUT_S, allow_redirects=False, stream=True
            ) as answer:
                status = answer.status_code
        except requests.exceptions.SSLError:
            return "its certificate cannot be verified", True
        except requests.exceptions.Timeout:
            return "it does not answer in time", True
        except requests.exceptions.ConnectionError:
            return "it cannot be reached", True
        except requests.exceptions.RequestException as error:
            return type(error).__name__, False
        if 200 <= status < 300:
            return None, False
        return f"it answers {status}", status == _TOO_MANY or status >= 500

    def _tell_failing(self, reason: str, *, again: bool) -> None:
        if not self._failing:
            self._failing = True
            then = "trying again until it does" if again else "leaving such results out"
            self._say(f"{self._name} takes no results ({reason}); {then}")

    def _tell_back(self) -> None:
        if self._failing:
            self._failing = False
            self._say(f"{self._name} takes results again")


def _session(token: str | None) -> Session:
    try:
        import requests
    except ImportError as error:
        raise MissingPackage("requests", "webhook", needed_for="a webhook sink") from error

    def authorize(request: PreparedRequest) -> PreparedRequest:
        # a callable keeps requests from looking for a password in ~/.netrc
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    session = requests.Session()
    session.headers["Content-Type"] = "application/json"
    session.auth = authorize
    return session
