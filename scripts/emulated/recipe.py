"""What the virtual Pi is made of; its image is kept under the digest of what is said here."""

from __future__ import annotations

import hashlib

from .host import SUITE

REVISION = 1  # raise it when image.py makes something else of the same words
USER = "pi"
HOSTNAME = "raspberrypi"
DISK_BYTES = 6 << 30  # sparse

# libstdc++6: every wheel with C++ needs it, and on a real Pi apt has brought it; so it has numpy,
# which picamera2 was built against and no environment may replace
PACKAGES = (
    "systemd-sysv", "dbus", "udev", "kmod", "procps", "iproute2", "netbase", "openssh-server",
    "sudo", "libstdc++6", "python3-venv", "python3-numpy",
)  # fmt: skip
KERNEL = ("linux-image-arm64", "busybox-static")
LEFT_OUT = ("usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*")

# to reach the disk; in this order nothing is missing
BOOT_MODULES = ("virtio_pci", "virtio_mmio", "virtio_blk", "crc32c_generic", "ext4")
# beyond those: network, entropy, camera, what systemd asks for
MODULES = ("virtio_net", "virtio_rng", "vivid", "autofs4", "configfs", "fuse", "overlay")

QUIET_UNITS = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "getty@tty1.service", "serial-getty@ttyAMA0.service",
    "systemd-pstore.service", "systemd-logind.service", "systemd-networkd-wait-online.service",
    "systemd-hwdb-update.service", "systemd-update-utmp.service", "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount", "dev-hugepages.mount", "dev-mqueue.mount", "systemd-binfmt.service",
    "proc-sys-fs-binfmt_misc.automount", "proc-sys-fs-binfmt_misc.mount",
)  # fmt: skip

# the address that QEMU's user network gives out first; static, since asking for it takes seconds
FILES = {
    "etc/hostname": f"{HOSTNAME}\n",
    "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {HOSTNAME}\n",
    "etc/resolv.conf": "nameserver 10.0.2.3\n",
    "etc/default/locale": "LANG=C.UTF-8\n",
    # the root is mounted as it stays; waiting for udev to find its disk again takes a while
    "etc/fstab": "",
    "etc/modules-load.d/camera.conf": "vivid\n",
    # one webcam at /dev/video0 and no other node
    "etc/modprobe.d/camera.conf": (
        "options vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0\n"
    ),
    "etc/systemd/network/wired.network": (
        "[Match]\nName=en*\n\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n"
        "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    ),
    # a machine emulated on a busy one is some fifty times slower than a Pi
    "etc/systemd/system.conf.d/patient.conf": (
        "[Manager]\nDefaultTimeoutStartSec=15min\nDefaultTimeoutStopSec=3min\n"
        "DefaultDeviceTimeoutSec=15min\n"
    ),
    "etc/systemd/journald.conf.d/kept.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=32M\n",
    "etc/ssh/sshd_config.d/pi.conf": "UseDNS no\nPasswordAuthentication no\nLoginGraceTime 600\n",
    f"etc/sudoers.d/010_{USER}-nopasswd": f"{USER} ALL=(ALL) NOPASSWD: ALL\n",
}

INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /order); do /bin/busybox insmod /modules/$module; done
until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 -o noatime /dev/vda /new
/bin/busybox mount --move /dev /new/dev
exec /bin/busybox switch_root /new /sbin/init
"""


def digest() -> str:
    """Names the image that this recipe makes; sixteen hex digits."""
    said = (
        REVISION, SUITE, USER, HOSTNAME, DISK_BYTES, PACKAGES, KERNEL, LEFT_OUT, BOOT_MODULES,
        MODULES, QUIET_UNITS, sorted(FILES.items()), INIT,
    )  # fmt: skip
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]
