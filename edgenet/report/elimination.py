"""What lossless channel elimination saved, in a sentence."""

from __future__ import annotations

from edgenet.codegen import Report


def summary(report: Report) -> str:
    """Channels, multiplications and bytes that are gone."""
    gone = report.channels - report.channels_left
    if not gone and report.macs_left == report.macs:
        return f"none of its {report.channels:,} channels is dead"
    return (
        f"{gone:,} of its {report.channels:,} channels were dead and are gone: "
        f"{report.macs_left / 1e6:,.2f} of {report.macs / 1e6:,.2f} million multiplications "
        f"({report.macs_left / report.macs:.1%}) and {report.bytes_left / 1e3:,.0f} of "
        f"{report.bytes / 1e3:,.0f} kB are left, and the same answers"
    )
