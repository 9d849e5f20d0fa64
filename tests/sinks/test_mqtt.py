"""The MQTT sink against a real mosquitto."""

from __future__ import annotations

import gc
import json
import socket
import subprocess
import threading
import time
from collections import defaultdict
from contextlib import contextmanager

import pytest

from edgenet.errors import UsageError
from edgenet.stream.sinks import open_sink

paho = pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed")
from paho.mqtt.enums import CallbackAPIVersion  # noqa: E402

pytestmark = pytest.mark.tool("mosquitto")

PATIENCE_S = 20.0
# of https://www.home-assistant.io/integrations/sensor.mqtt/ and .../mqtt/#mqtt-discovery
SENSOR_KEYS = {
    *("name", "icon", "unique_id", "state_topic", "value_template", "device_class", "options"),
    *("unit_of_measurement", "state_class", "entity_category", "device", "origin"),
    *("availability_topic", "payload_available", "payload_not_available"),
}


class Broker:
    """A mosquitto on a port of its own, which can be killed and started again."""

    def __init__(self, folder, extra="allow_anonymous true"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.config = folder / "mosquitto.conf"
        self.config.write_text(f"listener {self.port} 127.0.0.1\n{extra}\n")
        self.process = None

    def start(self):
        command = ["mosquitto", "-c", str(self.config)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("mosquitto did not start")

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Listener:
    """A client that keeps every message."""

    def __init__(self, port, user=None, password=None):
        self.messages = defaultdict(list)
        self.changed = threading.Condition()
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        if user:
            self.client.username_pw_set(user, password)
        self.client.on_connect = lambda client, *_: client.subscribe("#")
        self.client.on_message = self.keep
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def keep(self, client, userdata, message):
        with self.changed:
            self.messages[message.topic].append((message.payload, message.retain))
            self.changed.notify_all()

    def wait_for(self, topic, accept=lambda payload: True):
        def arrived():
            return next((p for p, _ in self.messages[topic] if accept(p)), None)

        with self.changed:
            found = self.changed.wait_for(arrived, PATIENCE_S)
        assert found is not None, f"{topic}: {dict(self.messages)}"
        return found

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def broker(tmp_path):
    found = Broker(tmp_path)
    found.start()
    yield found
    found.kill()


@contextmanager
def listening(broker, **who):
    listener = Listener(broker.port, **who)
    try:
        yield listener
    finally:
        listener.close()


@contextmanager
def sink_on(broker, setting, options="", user=""):
    sink = open_sink(f"mqtt://{user}127.0.0.1:{broker.port}/edgenet/door{options}", setting)
    try:
        yield sink
    finally:
        sink.close()


def label_is(label):
    return lambda payload: json.loads(payload)["label"] == label


def test_results_are_published_and_retained(broker, setting, make, frame):
    with sink_on(broker, setting, "#every=0") as sink:
        with listening(broker) as early:
            early.wait_for("edgenet/door/availability", b"online".__eq__)
            sink.publish(make("cat"), frame)
            state = json.loads(early.wait_for("edgenet/door/state"))
        assert (state["label"], state["probability"], state["latency_ms"]) == ("cat", 0.875, 9.875)
        assert state["fps"] == 0.0
        with listening(broker) as late:
            assert json.loads(late.wait_for("edgenet/door/state")) == state
            assert late.messages["edgenet/door/state"][0][1]
            late.wait_for("edgenet/door/availability", b"online".__eq__)


def test_home_assistant_finds_sensors_with_the_keys_of_its_schema(broker, setting):
    with sink_on(broker, setting), listening(broker) as listener:
        for key in ("label", "probability", "latency", "fps"):
            topic = f"homeassistant/sensor/edgenet_edgenet_door_{key}/config"
            config = json.loads(listener.wait_for(topic))
            assert set(config) <= SENSOR_KEYS
            assert config["unique_id"] == f"edgenet_edgenet_door_{key}"
            assert config["state_topic"] == "edgenet/door/state"
            assert config["availability_topic"] == "edgenet/door/availability"
            assert config["device"]["identifiers"] == ["edgenet_edgenet_door"]
            assert config["origin"]["name"] == "edgenet"
            assert "value_json." in config["value_template"]
        label = json.loads(listener.messages[topic.replace("fps", "label")][0][0])
        assert (label["device_class"], label["options"]) == ("enum", list(setting.labels))
        # an enumeration has neither a unit nor a state class
        assert {"unit_of_measurement", "state_class"} & set(label) == set()


def test_discovery_has_a_prefix_and_can_be_left_out(broker, setting):
    with sink_on(broker, setting, "#discovery=ha"), listening(broker) as listener:
        listener.wait_for("ha/sensor/edgenet_edgenet_door_label/config")
    with sink_on(broker, setting, "#discovery=off"), listening(broker) as listener:
        listener.wait_for("edgenet/door/availability", b"online".__eq__)
        assert not any(topic.startswith("homeassistant/") for topic in listener.messages)


def test_the_same_label_is_published_at_its_pace(broker, setting, make, frame):
    with sink_on(broker, setting, "#every=3600") as sink, listening(broker) as listener:
        listener.wait_for("edgenet/door/availability", b"online".__eq__)
        for index, label in enumerate(["cat", "cat", "cat", "bee"]):
            sink.publish(make(label, frame=index), frame)
        listener.wait_for("edgenet/door/state", label_is("bee"))
        states = [json.loads(payload) for payload, _ in listener.messages["edgenet/door/state"]]
        assert [state["frame"] for state in states] == [0, 3]


def test_a_clean_end_says_offline(broker, setting):
    with listening(broker) as listener:
        with sink_on(broker, setting):
            listener.wait_for("edgenet/door/availability", b"online".__eq__)
        listener.wait_for("edgenet/door/availability", b"offline".__eq__)


def test_a_broken_connection_lets_the_broker_say_offline(broker, setting):
    with listening(broker) as listener, sink_on(broker, setting) as sink:
        listener.wait_for("edgenet/door/availability", b"online".__eq__)
        sink._client.socket().shutdown(socket.SHUT_RDWR)
        listener.wait_for("edgenet/door/availability", b"offline".__eq__)


def test_a_broker_that_is_killed_and_started_again_gets_the_newest_result(
    broker, setting, said, make, frame
):
    with sink_on(broker, setting, "#every=0") as sink:
        with listening(broker) as listener:
            sink.publish(make("cat"), frame)
            listener.wait_for("edgenet/door/availability", b"online".__eq__)
        broker.kill()
        said.wait_for("not connected (the connection broke)")
        for index in range(1000):
            sink.publish(make("bee", frame=index), frame)
        broker.start()
        said.wait_for(": connected")
        with listening(broker) as listener:
            listener.wait_for("edgenet/door/availability", b"online".__eq__)
            state = json.loads(listener.wait_for("edgenet/door/state"))
            assert (state["label"], state["frame"]) == ("bee", 999)
            listener.wait_for("homeassistant/sensor/edgenet_edgenet_door_label/config")
            sink.publish(make("ant"), frame)
            listener.wait_for("edgenet/door/state", label_is("ant"))
    assert len([text for text in said if "not connected" in text]) == 1


def test_a_broker_that_comes_later_gets_the_newest_result(tmp_path, setting, said, make, frame):
    broker = Broker(tmp_path)
    try:
        with sink_on(broker, setting, "#every=0") as sink:
            said.wait_for("not connected (it cannot be reached)")
            sink.publish(make("bee"), frame)
            broker.start()
            said.wait_for(": connected")
            with listening(broker) as listener:
                listener.wait_for("edgenet/door/state", label_is("bee"))
    finally:
        broker.kill()


def test_a_broker_that_is_away_holds_up_neither_a_result_nor_the_end(
    tmp_path, setting, make, frame
):
    with sink_on(Broker(tmp_path), setting, "#every=0") as sink:

        def publish():
            for index in range(1000):
                sink.publish(make(frame=index), frame)
            sink.close()

        thread = threading.Thread(target=publish, daemon=True)
        thread.start()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A broker that wants the password 'hunter2' of the user 'me'."""
    passwords = tmp_path / "passwords"
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(passwords), "me", "hunter2"],
        check=True,
        capture_output=True,
    )
    passwords.chmod(0o644)
    # mosquitto gives up being root where it is
    tmp_path.chmod(0o755)
    broker = Broker(tmp_path, f"user root\nallow_anonymous false\npassword_file {passwords}")
    broker.start()
    yield broker
    broker.kill()


def test_the_password_comes_from_a_file(locked, setting, make, frame, tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("hunter2\n")
    monkeypatch.setenv("EDGENET_MQTT_PASSWORD_FILE", str(tmp_path / "secret"))
    with (
        sink_on(locked, setting, "#every=0", user="me@") as sink,
        listening(locked, user="me", password="hunter2") as listener,
    ):
        listener.wait_for("edgenet/door/availability", b"online".__eq__)
        sink.publish(make(), frame)
        listener.wait_for("edgenet/door/state", label_is("cat"))


def test_a_wrong_password_is_said_once_and_not_shown(locked, setting, said, monkeypatch):
    monkeypatch.setenv("EDGENET_MQTT_PASSWORD", "wrong-secret")
    with sink_on(locked, setting, user="me@"):
        said.wait_for("not connected (Not authorized)")
    assert len(said) == 1
    assert "wrong-secret" not in said[0]


def test_a_password_without_a_user_is_refused(setting, monkeypatch):
    monkeypatch.setenv("EDGENET_MQTT_PASSWORD", "x")
    with pytest.raises(UsageError, match=r"names no user; write USER@HOST"):
        open_sink("mqtt://host/a", setting)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls_refuses_a_broker_without_it(broker, setting, said):
    sink = open_sink(f"mqtts://127.0.0.1:{broker.port}/a", setting)
    said.wait_for("not connected (")
    thread = sink._client._thread
    sink.close()
    thread.join(PATIENCE_S)
    # paho leaves the socket of a handshake that failed to the garbage collector, which warns
    gc.collect()
