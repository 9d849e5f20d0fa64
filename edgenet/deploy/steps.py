"""A deployment, as named steps in their order; each may be cut off and done again.

Until the switch nothing that runs or that a boot starts is touched, and the switch is the device's
own affair.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.bundle import Bundle
from edgenet.deploy import environment as environments
from edgenet.deploy import facts as device_facts
from edgenet.deploy import wheel as wheels
from edgenet.deploy.device import Device, State
from edgenet.deploy.environment import Environment, OnStage, Recipe
from edgenet.deploy.facts import Facts
from edgenet.deploy.release import Record, Release, prepare
from edgenet.deploy.secretfile import new_salt
from edgenet.deploy.service import Service
from edgenet.errors import DeployError
from edgenet.stream.sinks.secret import VIEW_TOKEN
from edgenet.target import Target

if TYPE_CHECKING:
    from edgenet.remote import Remote

_BESIDE = 50_000_000  # bytes that must stay free beside a bundle


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a deployment came to.

    Attributes:
        release: the record of the release that runs.
        former: the release that ran before, if another one did.
        changed: whether anything was done.
        token: of the page, where one was made up.
    """

    release: Release
    former: str | None
    changed: bool
    token: str | None


@dataclass(slots=True)
class Deployment:
    """A bundle on its way to a device.

    Args:
        device: where to.
        bundle: what.
        service: how it is run there.
        target: of the bundle.
        offline: carry every wheel from here.
        steady_s: seconds for which a release must go on after its first frame; by default a few.
        on_stage: told what begins.
    """

    device: Device
    bundle: Bundle
    service: Service
    target: Target
    offline: bool = False
    steady_s: float | None = None
    on_stage: OnStage = lambda stage: None
    _scratch: Path = field(init=False)
    _held: ExitStack = field(init=False)
    _salt: str = field(init=False)
    _pushed: bool = field(init=False, default=False)
    _facts: Facts = field(init=False)
    _state: State = field(init=False)
    _recipe: Recipe = field(init=False)
    _environment: Environment = field(init=False)
    _release: Release = field(init=False)

    def steps(self) -> tuple[tuple[str, Callable[[], None]], ...]:
        """What is done, in this order."""
        return (
            ("look at the device", self._look),
            ("pack edgenet", self._pack),
            ("make the environment", self._make_environment),
            ("carry the release", self._carry),
            ("verify on the device", self._verify),
            ("switch", self._switch),
            ("tidy up", self._tidy),
        )

    def run(self) -> Deployed:
        """Do all of it, or, where the same already runs, only see that it does.

        Raises:
            DeployError: the device cannot run it, or the release does not serve.
            RemoteError: the device cannot be reached, or a command failed there.
        """
        with tempfile.TemporaryDirectory() as scratch, ExitStack() as held:
            self._scratch, self._held = Path(scratch), held
            for name, step in self.steps():
                self.on_stage(name)
                step()
                if name == "pack edgenet" and self._same():
                    return self._check()
        former = self._state.current
        if former == self._release.digest:
            former = None
        return Deployed(self._release, former, changed=True, token=self._token)

    @property
    def _token(self) -> str | None:
        return self.service.secrets[VIEW_TOKEN] if VIEW_TOKEN in self.service.made else None

    @property
    def _remote(self) -> Remote:
        return self.device.remote

    def _look(self) -> None:
        host, layout = self._remote.host, self.device.layout
        self._facts = device_facts.gather(self._remote, layout.base, root=layout.root)
        device_facts.check_python(self._facts, host)
        device_facts.check_source(self._facts, self._remote, self.service.source)
        size = sum(path.stat().st_size for path in self.bundle.root.rglob("*"))
        device_facts.check_space(self._facts, host, layout.base, size + _BESIDE)
        self.device.root("true")
        self._ask()
        before = self.device.secrets(self._state.current)
        self._salt = before.salt or new_salt()
        if self.service.needs_token:
            token = before.variables.get(VIEW_TOKEN)
            made = token is None or VIEW_TOKEN in before.made
            new = {VIEW_TOKEN: token or secrets.token_urlsafe(24)}
            self.service = replace(
                self.service,
                secrets={**self.service.secrets, **new},
                made=(VIEW_TOKEN,) if made else (),
            )

    def _ask(self) -> None:
        """See what is deployed, and that it may be replaced."""
        host, layout = self._remote.host, self.device.layout
        self._state = self.device.state()
        if not self._state.systemd:
            raise DeployError(f"{host} was not booted with systemd, which keeps the service alive")
        if self._state.foreign or (self._state.there and not self._state.claimed):
            whose = (*self._state.foreign, layout.base)[0]
            raise DeployError(f"{host} has a {whose} that is not edgenet's; choose another --name")
        if self._state.switching:
            raise DeployError(f"{host} is still trying another release; wait for its end")

    def _pack(self) -> None:
        own = wheels.own(self._scratch)
        self._recipe = Recipe(self._facts, own, self.service.extras(self.target))
        self._environment = self._recipe.environment(self.device.layout.environments)
        self._release = prepare(
            self.device.layout, self.bundle, self._recipe, self.service,
            target=self.target, salt=self._salt,
        )  # fmt: skip

    def _make_environment(self) -> None:
        self.device.write(self.device.layout.marker, f"{self.device.layout.name}\n")
        self._held.enter_context(self.device.alone())
        self._ask()
        if not environments.is_made(self._remote, self._environment):
            environments.make(
                self._remote, self._recipe, self._environment,
                offline=self.offline, as_root=True, on_stage=self.on_stage,
            )  # fmt: skip

    def _carry(self) -> None:
        layout, digest = self.device.layout, self._release.digest
        if self._release.secrets:
            self.device.write(f"{layout.secrets}/{digest}", self._release.secrets, umask="077")
        if self._state.record(digest) is None:
            self._push()

    def _push(self) -> None:
        digest = self._release.digest
        folder = self._scratch / digest
        self._release.write(self.device.layout, folder)
        self._remote.push(folder, self.device.layout.release(digest), as_root=True)
        self._pushed = True

    def _verify(self) -> None:
        reason = self._refusal()
        if reason and not self._pushed:  # an earlier copy may have been damaged since
            self._push()
            reason = self._refusal()
        if reason:
            raise DeployError(
                f"{self._remote.host} does not verify {self._release.record.model}, so nothing was"
                f" switched: {reason}"
            )

    def _refusal(self) -> str:
        """What ``edgenet verify`` finds wrong on the device; empty where nothing is."""
        bundle = f"{self.device.layout.release(self._release.digest)}/bundle"
        done = self._remote.run(
            [self._environment.python, "-P", "-m", "edgenet", "verify", bundle], check=False
        )
        if done.code == 0:
            return ""
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        return said[-1].removeprefix("Error: ")

    def _switch(self) -> None:
        self.device.switch(self._release.digest, self._environment.python, steady_s=self.steady_s)

    def _tidy(self) -> None:
        layout = self.device.layout
        root = ["--root", layout.root] if layout.root else []
        words = ["-P", "-m", "edgenet.deploy.tidy", "--name", layout.name, *root]
        self.device.root(self._environment.python, *words)

    def _same(self) -> bool:
        """Whether the release is the one that a boot starts."""
        current = self._state.current == self._release.digest and not self._state.trial
        return current and environments.is_made(self._remote, self._environment)

    def _check(self) -> Deployed:
        self.on_stage("check the service")
        layout = self.device.layout
        changed = not (self._state.active and self._state.enabled)
        if not self._state.enabled:
            root = ["--root", layout.root] if layout.root else []
            words = ["-P", "-m", "edgenet.deploy.switch", "enable", "--name", layout.name, *root]
            self.device.root(self._environment.python, *words)
            self.device.root("systemctl", "daemon-reload")
        if not self._state.active:
            self.device.restart()
        return Deployed(self._release, None, changed=changed, token=self._token)


def rollback(device: Device, *, steady_s: float | None = None) -> Record:
    """Go back to the release that ran before; a second time leads forward again.

    Returns:
        The record of the release that runs.

    Raises:
        DeployError: there is none, or it does not serve.
    """
    state = device.found()
    previous = state.record(state.previous)
    if previous is None or state.previous == state.current:
        raise DeployError(f"{device.remote.host} has no release before {state.current}")
    if state.switching:
        raise DeployError(f"{device.remote.host} is still trying a release; wait for its end")
    with device.alone():
        device.switch(previous.release, device.python(previous), steady_s=steady_s)
    return previous
