"""What a profile was measured on and how: the last part of its page."""

from __future__ import annotations

from edgenet.profile.record import Profile
from edgenet.report import html
from edgenet.report.html import Markup, Section, badge, escape
from edgenet.report.units import size


def section(profile: Profile) -> Section:
    """The last part of the page."""
    machine, settings = profile.machine, profile.settings
    emulator = badge(machine.emulator, "bad") if machine.emulator else "nothing known"
    body = html.facts(
        [
            ("board", machine.board),
            ("CPU", machine.cpu),
            ("architecture", machine.architecture),
            ("cores", machine.cores),
            ("limit of a container", f"{machine.quota:g} cores" if machine.quota else "none"),
            ("highest clock", f"{machine.max_mhz:.0f} MHz" if machine.max_mhz else None),
            ("instructions", ", ".join(machine.features) or None),
            ("memory", size(machine.memory)),
            ("virtual machine", {True: "yes", False: "no", None: None}[machine.virtual]),
            ("emulated by", emulator),
            ("system", machine.os),
            ("kernel", machine.kernel),
            ("Python", machine.python),
            *((name, found or "not installed") for name, found in machine.packages.items()),
        ]
    )
    method = html.facts(
        [
            ("command", Markup(f"<code>{escape(profile.command)}</code>")),
            ("bundle sha256", Markup(f"<code>{profile.bundle_sha256}</code>")),
            ("warm-up runs", settings.warmup_runs),
            ("runs, at least", settings.num_runs),
            ("seconds, at least", f"{settings.min_secs:g}"),
            ("seconds, at most", f"{settings.max_secs:g}"),
            ("services beside it", ", ".join(profile.competitors) or "none known"),
        ]
    )
    how = html.paragraph(
        "Each variant ran in a fresh process at each thread count. Percentiles interpolate linearly"
        " between samples. The machine's state was sampled four times a second from outside the"
        " measuring process."
    )
    return Section("machine", "Machine and method", body + "<h3>Method</h3>" + how + method)
