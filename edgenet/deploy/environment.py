"""A Python environment with edgenet on a device, made once for each thing that it depends on."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.deploy import facts as device
from edgenet.deploy import wheel as wheels
from edgenet.deploy.facts import Facts
from edgenet.errors import DeployError

if TYPE_CHECKING:
    from edgenet.remote import Remote

OnStage = Callable[[str], None]

# LiteRT, OpenCV, numpy and the rest unpacked, with the wheels beside them for a while
NEEDED = 700_000_000
_OLDEST_GLIBC = 17  # of the wheels' tags: manylinux_2_17 is manylinux2014
_MADE = ".complete"

# $1: the environment, $2: Python, $3: the folder of wheels, $4: what to install, then pip's options
_INSTALL = f"""
set -eu
umask 022
environment=$1 python=$2 wheels=$3 what=$4
shift 4
rm -rf "$environment"
mkdir -p "$(dirname "$environment")"
"$python" -P -m venv --system-site-packages "$environment"
"$environment/bin/python" -P -m pip install --quiet --no-input --no-cache-dir \\
    --disable-pip-version-check --only-binary :all: --constraint "$wheels/constraints.txt" "$@" \\
    "$what"
"$environment/bin/python" -P -m pip list --format freeze --disable-pip-version-check \\
    > "$environment/packages.txt"
"$environment/bin/python" -P -c 'import edgenet'
sync
touch "$environment/{_MADE}"
"""


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment on a device, there or yet to be made.

    Attributes:
        digest: of all that it is made from.
        folder: on the device.
    """

    digest: str
    folder: str

    @property
    def python(self) -> str:
        return f"{self.folder}/bin/python"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an environment is made from.

    Attributes:
        facts: the device's.
        wheel: edgenet's own.
        extras: of edgenet.
    """

    facts: Facts
    wheel: Path
    extras: tuple[str, ...]

    def environment(self, place: str) -> Environment:
        """Where it is, or will be, in the folder ``place``."""
        total = hashlib.sha256()
        facts = self.facts
        parts = (wheels.digest(self.wheel), self.extras, facts.executable, facts.python)
        for part in (*parts, facts.machine, facts.libc_version, self.constraints):
            total.update(f"{part}\n".encode())
        digest = total.hexdigest()[:16]
        return Environment(digest, f"{place}/{digest}")

    @property
    def constraints(self) -> str:
        """What pip must not replace, since the system's own packages were built against it."""
        return "".join(f"{name}=={version}\n" for name, version in self.facts.pinned.items())


def ensure(
    remote: Remote,
    *,
    extra: str = "rpi",
    offline: bool = False,
    on_stage: OnStage = lambda stage: None,
) -> str:
    """Make an environment with edgenet in the home of the user there, unless it is there.

    Args:
        remote: the device.
        extra: of edgenet, as target.toml names it.
        offline: carry every wheel from here, for a device without internet.
        on_stage: told what begins.

    Returns:
        The path of its Python there.

    Raises:
        DeployError: the device cannot run edgenet, or a package cannot be installed.
        RemoteError: the device cannot be reached.
    """
    with tempfile.TemporaryDirectory() as scratch:
        on_stage("asking the device what it has")
        facts = device.gather(remote, "~")
        place = f"{facts.data or facts.home + '/.local/share'}/edgenet/environments"
        device.check_python(facts, remote.host)
        on_stage("packing edgenet")
        recipe = Recipe(facts, wheels.own(Path(scratch)), (extra,))
        environment = recipe.environment(place)
        if not is_made(remote, environment):
            make(remote, recipe, environment, offline=offline, on_stage=on_stage)
    return environment.python


def is_made(remote: Remote, environment: Environment) -> bool:
    """Whether the environment is there as a whole."""
    return remote.run(["test", "-e", f"{environment.folder}/{_MADE}"], check=False).code == 0


def make(
    remote: Remote,
    recipe: Recipe,
    environment: Environment,
    *,
    offline: bool = False,
    as_root: bool = False,
    on_stage: OnStage = lambda stage: None,
) -> None:
    """Make an environment; what an attempt before left half made is thrown away.

    Raises:
        DeployError: there is no room, or a package cannot be installed.
        RemoteError: the device cannot be reached.
    """
    device.check_space(recipe.facts, remote.host, environment.folder, NEEDED)
    carried = f"{environment.folder}.wheels"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "constraints.txt").write_text(recipe.constraints)
        what = f"{recipe.wheel}[{','.join(recipe.extras)}]"
        if offline:
            on_stage("fetching wheels for the device")
            _fetch(recipe, what, folder)
        (folder / recipe.wheel.name).write_bytes(recipe.wheel.read_bytes())
        on_stage("carrying wheels to the device")
        remote.push(folder, carried, as_root=as_root)
    on_stage("installing on the device")
    there = f"{carried}/{recipe.wheel.name}[{','.join(recipe.extras)}]"
    options = ["--no-index", "--find-links", carried] if offline else []
    words = [
        "sh",
        "-c",
        _INSTALL,
        "install",
        environment.folder,
        recipe.facts.executable,
        carried,
        there,
        *options,
    ]
    said: list[str] = []
    code = remote.stream(
        remote.as_root(words) if as_root else words, on_line=said.append, on_error=said.append
    )
    remove = ["rm", "-rf", carried]
    remote.run(remote.as_root(remove) if as_root else remove)
    if code:
        raise DeployError(_sentence(said, remote.host, offline=offline))


def _fetch(recipe: Recipe, what: str, folder: Path) -> None:
    """Download the wheels that the device would choose."""
    facts = recipe.facts
    python = f"{facts.python[0]}{facts.python[1]}"
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input",
             "--disable-pip-version-check", "--only-binary", ":all:", "--dest", str(folder),
             "--constraint", str(folder / "constraints.txt"), "--implementation", "cp",
             "--python-version", facts.version]  # fmt: skip
    for abi in (f"cp{python}", "abi3", "none"):
        words += ["--abi", abi]
    for platform in platforms(facts):
        words += ["--platform", platform]
    done = subprocess.run([*words, what], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        raise DeployError(
            f"pip finds no wheels here for the device's Python {facts.version} on"
            f" {facts.machine}: {lines[-1].removeprefix('ERROR: ')}"
        )


def platforms(facts: Facts) -> list[str]:
    """The platform tags of wheels that a device takes, the newest first."""
    major, minor = (*facts.libc_version, 0, 0)[:2]
    tags = [
        f"manylinux_{major}_{one}_{facts.machine}" for one in range(minor, _OLDEST_GLIBC - 1, -1)
    ]
    return [*tags, f"manylinux2014_{facts.machine}", f"linux_{facts.machine}"]


def _sentence(said: Sequence[str], host: str, *, offline: bool) -> str:
    """Why nothing was installed."""
    text = "\n".join(said)
    last = next((line.strip() for line in reversed(said) if line.strip()), "pip said nothing")
    unreachable = ("Failed to establish a new connection", "Name or service not known",
                   "Temporary failure in name resolution", "Network is unreachable",
                   "timed out")  # fmt: skip
    if not offline and any(words in text for words in unreachable):
        return f"{host} cannot reach the package index; carry the wheels from here with --offline"
    if "No space left" in text:
        return f"{host} has no space left on its disk; make room there"
    return f"nothing could be installed on {host}: {last.removeprefix('ERROR: ')}"
