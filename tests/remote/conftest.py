from __future__ import annotations

from loopback import device, sshd

__all__ = ["device", "sshd"]
