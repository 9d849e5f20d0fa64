"""Runs a command of this checkout as a Pi would: Debian's Python for arm64, real aarch64 wheels.

  scripts/arm64 python -m edgenet verify tests/golden/tiny
  scripts/arm64 pytest tests/test_image.py
  scripts/arm64 test                   light tests of some minutes; arguments go to pytest
  scripts/arm64 --board pi5 COMMAND    with the processor of a pi3, a pi4 (the default) or a pi5
  scripts/arm64 remove                 deletes the environment

The first call makes the environment.  It proves that things work there, never how fast.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

from . import host
from .boards import BOARDS, DEFAULT, Board
from .host import Failure, say
from .image import debootstrap, discard

REVISION = 1  # raise it when the environment is made otherwise of the same words
PYTHON = "3.11"
PACKAGES = (
    "python3-venv", "python3-minimal", "libstdc++6", "coreutils", "bash", "dash", "grep", "sed",
    "util-linux", "findutils", "procps", "git",
)  # fmt: skip
# what a device and its tests need
EXTRAS = ("pc", "rpi", "gpio", "test")
GLIBC = range(17, 37)  # bookworm has 2.36
TOOLS = ("mmdebstrap", "qemu-aarch64-static", "unshare", "mount")

PROGRAM = """\
#!/usr/bin/python3
import runpy
import sys
sys.argv[0] = "{name}"
runpy.run_module("{module}", run_name="__main__", alter_sys=True)
"""

# light tests that say nothing of the machine: arithmetic on arrays for minutes, words, packaging,
# formats, and other machines
LEFT_OUT = (
    "tests/codegen", "tests/deploy", "tests/drift", "tests/edgetpu", "tests/foreign", "tests/int8",
    "tests/remote", "tests/sinks", "tests/test_cli_demo.py", "tests/test_conftest.py",
    "tests/test_docs.py", "tests/test_emulated.py", "tests/test_environment_emulation.py",
    "tests/test_imports.py", "tests/test_stream_network.py", "tests/test_wheel.py", "tests/tflite",
    "tests/view",
)  # fmt: skip


def main() -> int:
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if words else 2
    try:
        board, words = chosen_board(words)
        if words == ["remove"]:
            discard(host.cache() / "arm64")
            return 0
        root = build()
        if words[0] == "test":
            words = ["pytest", *(f"--ignore={name}" for name in LEFT_OUT), *words[1:]]
        return run(root, board, words)
    except Failure as error:
        say(f"Error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


def chosen_board(words: list[str]) -> tuple[Board, list[str]]:
    """The board that ``--board`` names, and the words after it.

    Raises:
        Failure: there is no such board, or no command.
    """
    name = DEFAULT
    if words[0] == "--board":
        name, words = "".join(words[1:2]), words[2:]
    if name not in BOARDS:
        raise Failure(f"no board {name!r}; there are {', '.join(BOARDS)}")
    if not words:
        raise Failure("no command; see scripts/arm64 --help")
    return BOARDS[name], words


def requirements() -> list[str]:
    """What pyproject.toml asks for on a device, edgenet's own extras followed."""
    project = tomllib.loads((host.REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]

    def follow(wanted: list[str]) -> Iterator[str]:
        for one in wanted:
            if one.startswith("edgenet["):
                for extra in one.removeprefix("edgenet[").rstrip("]").split(","):
                    yield from follow(project["optional-dependencies"][extra])
            else:
                yield one

    wanted = follow([f"edgenet[{','.join(EXTRAS)}]"])
    return sorted({"pip", *project["dependencies"], *wanted})  # pip: tests of edgenet's wheel


def digest() -> str:
    pins = (host.REPOSITORY / "constraints.txt").read_text(encoding="utf-8")
    said = (REVISION, host.SUITE, PYTHON, PACKAGES, requirements(), PROGRAM, pins)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def build() -> Path:
    """The environment's tree, made unless it is there.

    Raises:
        Failure: a tool or a right is missing, or a download failed; the stages before it are kept.
    """
    tree = host.cache() / "arm64" / digest()
    host.demand(*TOOLS)
    host.demand_root("running arm64 programs in a tree of their own")
    host.emulate()
    if tree.is_dir():
        return tree
    with host.locked(tree.with_name(f"{tree.name}.lock")):
        part = tree.with_name(f"{tree.name}.part")
        if not part.exists():
            say("[1/2] Debian's Python for arm64, unpacked")
            draft = tree.with_name(f"{tree.name}.draft")
            discard(draft)
            merged = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"
            options = ["--variant=extract", merged, f"--include={','.join(PACKAGES)}"]
            debootstrap(options, draft)
            prepare(draft)
            draft.rename(part)
        say("[2/2] aarch64 wheels")
        fetch(part / "usr/local/lib" / f"python{PYTHON}" / "dist-packages")
        part.rename(tree)
    return tree


def prepare(tree: Path) -> None:
    """The commands, and the folders that things are mounted on."""
    programs = tree / "usr/local/bin"
    programs.mkdir(parents=True, exist_ok=True)
    for name, module in (("pytest", "pytest"), ("edgenet", "edgenet")):
        (programs / name).write_text(PROGRAM.format(name=name, module=module), encoding="ascii")
        (programs / name).chmod(0o755)
    (programs / "python").symlink_to("/usr/bin/python3")
    for name in ("dev", "proc", "run", "sys", "tmp", "home/pi"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    (tree / "etc/passwd").write_text("root:x:0:0:root:/home/pi:/bin/bash\n", encoding="ascii")
    (tree / "etc/group").write_text("root:x:0:\n", encoding="ascii")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n", encoding="ascii")


def fetch(folder: Path) -> None:
    """Installs wheels for the device without starting anything of them."""
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in GLIBC]
    command = [
        host.python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--target", folder, "--upgrade", "--only-binary=:all:", f"--python-version={PYTHON}",
        "--implementation=cp", "--constraint", host.REPOSITORY / "constraints.txt",
        *platforms, "--platform=manylinux2014_aarch64", *requirements(),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise Failure("pip could not fetch the wheels; the lines above say why")


def run(tree: Path, board: Board, words: list[str]) -> int:
    """The exit status of a command, run inside the tree with edgenet's wheel installed."""
    with tempfile.TemporaryDirectory(prefix="edgenet-arm64-") as name:
        space = Path(name)
        (space / "mount").mkdir()
        (space / "cpuinfo").write_text(board.cpuinfo(), encoding="ascii")
        install(space)
        pycache = tree.with_name(f"{tree.name}.pycache")
        pycache.mkdir(exist_ok=True)
        inside = Path(__file__).with_name("inside")
        command = ["unshare", "--mount", "--propagation=private", "bash", inside]
        return subprocess.run(
            [*command, space, tree, host.REPOSITORY, pycache, *words],
            env=environment(board), check=False,
        ).returncode  # fmt: skip


def install(space: Path) -> None:
    """Builds edgenet's wheel from a copy of the sources, and unpacks it where Python looks."""
    sources = space / "sources"
    left_out = shutil.ignore_patterns("__pycache__", "*.pyc", "build")
    for name in ("edgenet", "targets"):
        shutil.copytree(host.REPOSITORY / name, sources / name, ignore=left_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(host.REPOSITORY / name, sources)
    pip = [str(host.python()), "-m", "pip", "--disable-pip-version-check"]
    host.run(
        [*pip, "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
         "--target", space / "installed", sources]
    )  # fmt: skip
    discard(sources)


def environment(board: Board) -> dict[str, str]:
    """What a shell on the device would have, and EDGENET_ variables from here."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("EDGENET_")}
    kept.pop("EDGENET_DATA", None)  # its folder is not in the tree
    return kept | {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": "/home/pi",
        "LANG": "C.UTF-8",
        "TERM": os.environ.get("TERM", "dumb"),
        "EDGENET_LIGHT": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPYCACHEPREFIX": "/var/cache/pycache",
        # what is installed, not what lies in the working folder
        "PYTHONSAFEPATH": "1",
        "QEMU_CPU": board.qemu,
    }


if __name__ == "__main__":
    sys.exit(main())
