"""Builds the virtual Pi's disk in stages, each whole or not there: a killed build goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import host, recipe
from .host import Failure, say

TOOLS = (
    "mmdebstrap", "qemu-aarch64-static", "depmod", "cpio", "mkfs.ext4", "ssh-keygen", "mount",
)  # fmt: skip


@dataclass(frozen=True)
class Image:
    """A folder with disk, kernel, initial file system and keys; never changed once it is there."""

    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "disk.raw"

    @property
    def kernel(self) -> Path:
        return self.folder / "kernel"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"

    @property
    def identity(self) -> Path:
        """The private key that user pi's authorized_keys knows."""
        return self.folder / "keys" / "identity"

    @property
    def host_key(self) -> str:
        """The public key that the machine proves itself with."""
        path = self.folder / "keys" / "ssh_host_ed25519_key.pub"
        return " ".join(path.read_text(encoding="ascii").split()[:2])

    @property
    def built(self) -> bool:
        return self.folder.is_dir()


def current() -> Image:
    """The image of this recipe, built or not."""
    return Image(host.cache() / "pi_vm" / recipe.digest())


def build() -> Image:
    """Builds the image of this recipe, unless it is there.

    Raises:
        Failure: a tool or a right is missing, or a stage failed; the stages before it are kept.
    """
    image = current()
    if image.built:
        return image
    host.demand(*TOOLS)
    host.demand_root("building the virtual Pi")
    part = image.folder.with_name(f"{image.folder.name}.part")
    with host.locked(image.folder.with_name(f"{image.folder.name}.lock")):
        host.emulate()
        part.mkdir(parents=True, exist_ok=True)
        stages: tuple[tuple[str, str, Callable[[Path], None]], ...] = (
            ("keys", "keys for ssh", make_keys),
            ("kernel_tree", "kernel, downloaded and unpacked", unpack_kernel),
            ("tree", "Debian for arm64; some minutes", install),
            ("initrd", "initial file system", make_initrd),
            ("kernel", "kernel", lambda draft: shutil.copy(vmlinuz(draft.parent), draft)),
            ("disk.raw", "disk", make_disk),
        )
        for number, (name, title, make) in enumerate(stages, start=1):
            finished = part / name
            if finished.exists():
                continue
            say(f"[{number}/{len(stages)}] {title}")
            draft = part / f"{name}.draft"
            discard(draft)
            make(draft)
            draft.rename(finished)
        for name in ("tree", "kernel_tree"):
            discard(part / name)
        part.rename(image.folder)
        hand_over(image.folder.parent)
    return image


def hand_over(folder: Path) -> None:
    """Gives what root made to the user who called sudo, who is going to start it."""
    user, group = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if user and group:
        for path in (folder.parent, folder, *folder.rglob("*")):
            os.chown(path, int(user), int(group), follow_symlinks=False)


def discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_keys(draft: Path) -> None:
    """The user's key and the machine's: made here, since emulation takes a minute for one."""
    draft.mkdir()
    for name, kind in (
        ("identity", "ed25519"),
        ("ssh_host_ed25519_key", "ed25519"),
        ("ssh_host_ecdsa_key", "ecdsa"),
        ("ssh_host_rsa_key", "rsa"),
    ):
        host.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", draft / name])


def unpack_kernel(draft: Path) -> None:
    """Debian's kernel with all its modules: only unpacked, so nothing has to be emulated."""
    command = ["--variant=extract", f"--include={','.join(recipe.KERNEL)}"]
    debootstrap(command, draft)
    host.run(["depmod", "-b", draft, release(draft)])


def install(draft: Path) -> None:
    """Debian's packages, set up by their own scripts under emulation; then our configuration."""
    keys = draft.with_name("keys")
    command = [
        "--variant=essential",
        f"--include={','.join(recipe.PACKAGES)}",
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude=/{pattern}" for pattern in recipe.LEFT_OUT),
        # openssh-server makes the keys that are missing
        '--essential-hook=mkdir -p "$1/etc/ssh"',
        f'--essential-hook=cp "{keys}"/ssh_host_*_key* "$1/etc/ssh/"',
    ]
    debootstrap(command, draft)
    configure(draft, keys)


def debootstrap(options: list[str], root: Path) -> None:
    """Runs mmdebstrap, telling now and then how far it is; its log lies beside ``root``."""
    command = ["mmdebstrap", "--mode=root", "--architectures=arm64", "--format=directory"]
    command += ["--verbose", "--skip=check/qemu", *options, host.SUITE, str(root), host.mirror()]
    log = root.with_suffix(".log")
    done = 0
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            file.write(line)
            file.flush()
            if line.startswith("Setting up "):
                done += 1
                if done % 10 == 0:
                    say(f"      {done} packages set up, now {line.split()[2]}")
            elif line.startswith("I: "):
                say(f"      {line[3:].strip()}")
    if process.returncode != 0:
        raise Failure(f"mmdebstrap ended with {process.returncode}; its log is {log}")


def configure(root: Path, keys: Path) -> None:
    """Files, user, units and modules of the recipe, written into an installed tree."""
    for name, text in recipe.FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")
        if path.parent.name == "sudoers.d":
            path.chmod(0o440)
    # a machine without an id takes each boot for its first, and sets every unit up anew
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n", encoding="ascii")
    for unit in recipe.QUIET_UNITS:
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    user = recipe.USER
    groups = "adm,dialout,sudo,video,plugdev"
    host.run(["chroot", root, "useradd", "-m", "-s", "/bin/bash", "-G", groups, user])
    host.run(["chroot", root, "systemctl", "enable", "ssh", "systemd-networkd"])
    account = root / "home" / user
    ssh = account / ".ssh"
    ssh.mkdir(mode=0o700)
    shutil.copy(keys / "identity.pub", ssh / "authorized_keys")
    for path in (ssh, ssh / "authorized_keys"):
        os.chown(path, account.stat().st_uid, account.stat().st_gid)
    copy_modules(root.with_name("kernel_tree"), root)


def copy_modules(source: Path, root: Path) -> None:
    """The modules of the recipe, and what each needs, where modprobe finds them."""
    top = Path("lib/modules") / release(source)
    for name in needed(source, (*recipe.BOOT_MODULES, *recipe.MODULES)):
        target = root / "usr" / top / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / top / name, target)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(source / top / name, root / "usr" / top / name)
    host.run(["depmod", "-b", root, release(source)])


def make_initrd(draft: Path) -> None:
    """What mounts the disk: a static shell and the drivers it needs, loaded in order."""
    source = draft.with_name("kernel_tree")
    files = draft.with_name("initrd_tree")
    discard(files)
    for name in ("bin", "dev", "modules", "new"):
        (files / name).mkdir(parents=True)
    shutil.copy(source / "bin/busybox", files / "bin/busybox")
    order = []
    for name in needed(source, recipe.BOOT_MODULES):
        path = source / "lib/modules" / release(source) / name
        shutil.copy(path, files / "modules" / path.name)
        order.append(path.name)
    (files / "order").write_text("\n".join(order) + "\n", encoding="ascii")
    (files / "init").write_text(recipe.INIT, encoding="ascii")
    (files / "init").chmod(0o755)
    listed = "\n".join(sorted(str(path.relative_to(files)) for path in files.rglob("*")))
    with draft.open("wb") as file:
        subprocess.run(
            ["cpio", "--create", "--format=newc", "--quiet", "--owner=+0:+0"],
            cwd=files, input=listed.encode(), stdout=file, check=True,
        )  # fmt: skip
    discard(files)


def make_disk(draft: Path) -> None:
    with draft.open("wb") as file:
        file.truncate(recipe.DISK_BYTES)
    options = "lazy_itable_init=0,lazy_journal_init=0"
    host.run(["mkfs.ext4", "-q", "-E", options, "-d", draft.with_name("tree"), draft])


def release(tree: Path) -> str:
    """The kernel's version, such as 6.1.0-18-arm64."""
    return next((tree / "lib/modules").iterdir()).name


def vmlinuz(part: Path) -> Path:
    return next((part / "kernel_tree/boot").glob("vmlinuz-*"))


def needed(tree: Path, names: tuple[str, ...]) -> list[str]:
    """Paths of modules under lib/modules/RELEASE, each after those that it needs."""
    listed = tree / "lib/modules" / release(tree) / "modules.dep"
    needs = {}
    for line in listed.read_text(encoding="ascii").splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
    paths = {Path(path).stem.replace("-", "_"): path for path in needs}
    ordered: list[str] = []

    def add(path: str) -> None:
        if path not in ordered:
            for other in reversed(needs[path]):
                add(other)
            ordered.append(path)

    for name in names:
        add(paths[name])
    return ordered
