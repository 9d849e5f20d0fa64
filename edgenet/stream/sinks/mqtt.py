"""Results on an MQTT broker, found by Home Assistant by itself."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from edgenet.errors import MissingPackage, UsageError
from edgenet.runner import Frame
from edgenet.stream.result import Result
from edgenet.stream.sinks import homeassistant
from edgenet.stream.sinks.document import document, encode
from edgenet.stream.sinks.pace import Pace
from edgenet.stream.sinks.secret import MQTT_PASSWORD, secret
from edgenet.stream.sinks.setting import Setting
from edgenet.stream.sinks.url import Address, parse

if TYPE_CHECKING:
    from paho.mqtt.client import Client

PASSWORD = MQTT_PASSWORD
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_EVERY_S = 1.0
_KEEPALIVE_S = 15
_RETRY_S = (1, 30)
_FAREWELL_S = 0.4


class Mqtt:
    """Publishes to TOPIC/state (retained) and TOPIC/availability.

    The client's own thread connects, and connects again for as long as it takes; meanwhile results
    are left out, and the newest one follows once the broker is back.  The broker says ``offline``
    in the device's place when the connection breaks (its last will).

    Args:
        text: ``mqtt://[USER@]HOST[:PORT]/TOPIC`` or ``mqtts://``; after # ``every``, seconds
            between results of the same label, and ``discovery``, Home Assistant's prefix or
            ``off``.
        setting: the run.

    Raises:
        MissingPackage: paho-mqtt is not installed.
        UsageError: the address is wrong.
    """

    def __init__(self, text: str, setting: Setting) -> None:
        address = parse(text, secret=PASSWORD, options=("every", "discovery"))
        self.topic = topic_of(address)
        self._setting = setting
        self._name = address.url.bare
        self._pace = Pace(address.seconds("every", _EVERY_S))
        self._discovery = address.options.get("discovery", homeassistant.PREFIX)
        self._state: bytes | None = None
        self._lost = False
        self._closed = False
        self._client = _client(address)
        self._client.will_set(self._availability, homeassistant.OFFLINE, qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        port = address.url.port or _PORTS[address.url.scheme]
        self._client.connect_async(address.url.host, port, keepalive=_KEEPALIVE_S)
        self._client.loop_start()

    @property
    def _availability(self) -> str:
        return f"{self.topic}/availability"

    def publish(self, result: Result, frame: Frame) -> None:
        """Hand a result to the client's thread, where its pace lets it pass."""
        del frame
        if not self._pace.due(result.label, time.monotonic()):
            return
        self._state = encode(self._document(result))
        if self._client.is_connected():
            self._client.publish(f"{self.topic}/state", self._state, retain=True)

    def close(self) -> None:
        """Say ``offline`` and leave; a broker that does not answer is not waited for."""
        self._closed = True
        leaving = threading.Thread(target=self._leave, name="mqtt-leaving", daemon=True)
        leaving.start()
        leaving.join(_FAREWELL_S)

    def _leave(self) -> None:
        if self._client.is_connected():
            told = self._client.publish(
                self._availability, homeassistant.OFFLINE, qos=1, retain=True
            )
            told.wait_for_publish(_FAREWELL_S)
        self._client.disconnect()
        self._client.loop_stop()

    def _document(self, result: Result) -> dict[str, Any]:
        best = round(result.top[0].probability, 6) if result.top else None
        fps = round(self._setting.statistics.fps(), 1)
        return document(result) | {"probability": best, "fps": fps}

    def _on_connect(self, client: Client, userdata: Any, flags: Any, code: Any, *_: Any) -> None:
        if code.is_failure:
            self._tell_lost(str(code))
            return
        if self._discovery != "off":
            for topic, content in homeassistant.discovery(
                self.topic,
                prefix=self._discovery,
                model=self._setting.model,
                labels=self._setting.labels,
            ):
                client.publish(topic, encode(content), qos=1, retain=True)
        client.publish(self._availability, homeassistant.ONLINE, qos=1, retain=True)
        if self._state is not None:
            client.publish(f"{self.topic}/state", self._state, retain=True)
        if self._lost:
            self._lost = False
            self._setting.say(f"{self._name}: connected")

    def _on_connect_fail(self, client: Client, userdata: Any) -> None:
        self._tell_lost("it cannot be reached")

    def _on_disconnect(self, client: Client, userdata: Any, flags: Any, code: Any, *_: Any) -> None:
        # paho's own word for a connection that broke without one from the broker
        broke = str(code) in ("Unspecified error", "Keep alive timeout")
        self._tell_lost("the connection broke" if broke else str(code))

    def _tell_lost(self, reason: str) -> None:
        if not self._lost and not self._closed:
            self._lost = True
            self._setting.say(f"{self._name}: not connected ({reason}); trying until it is")


def topic_of(address: Address) -> str:
    """The topic in a broker's address.

    Raises:
        UsageError: there is none, or it is not one to publish to.
    """
    topic = address.url.path.strip("/")
    if not topic:
        raise UsageError(
            f"{address.url.shown} names no topic; write {address.url.shown}/TOPIC, such as"
            " edgenet/door"
        )
    if "+" in topic or topic.startswith("$"):
        raise UsageError(
            f"{address.url.bare}: a topic holds no + and starts with no $; name another"
        )
    return topic


def _client(address: Address) -> Client:
    try:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion
    except ImportError as error:
        raise MissingPackage("paho-mqtt", "mqtt", needed_for="an MQTT sink") from error
    client = Client(CallbackAPIVersion.VERSION2)
    client.reconnect_delay_set(*_RETRY_S)
    password = secret(PASSWORD)
    if address.url.user is not None:
        client.username_pw_set(address.url.user, password)
    elif password is not None:
        raise UsageError(
            f"{PASSWORD} is set, but {address.url.bare} names no user; write USER@HOST"
        )
    if address.url.scheme == "mqtts":
        client.tls_set()
    return client
