"""Two profiles against each other, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from edgenet.profile.compare import Comparison, Ratio
from edgenet.report.text import table
from edgenet.report.units import ms


def text(found: Comparison) -> str:
    """The ratios, then everything that should be known beside them."""
    heads = ("variant", "threads", "first ms", "second ms", "ratio", "95 % interval", "")
    rows = [
        (
            one.variant if one.part == "run" else f"{one.variant} (sustained)",
            one.threads,
            ms(one.first_ms),
            ms(one.second_ms),
            f"{one.ratio:.3f}",
            f"{one.low:.3f} to {one.high:.3f}",
            _verdict(one),
        )
        for one in found.ratios
    ]
    caption = (
        f"{found.second} (second) over {found.first} (first): medians of {found.stage};"
        " a ratio above 1 is slower"
    )
    return "\n\n".join([f"{caption}\n{table(heads, rows)}", *_notes(found)]) + "\n"


def _verdict(one: Ratio) -> str:
    words = "slower" if one.low > 1 else "faster" if one.high < 1 else "no difference seen"
    sides = {"first": one.first_throttled, "second": one.second_throttled}
    slowed = [f"{side}: {', '.join(reasons)}" for side, reasons in sides.items() if reasons]
    return f"{words}  THROTTLED ({'; '.join(slowed)})" if slowed else words


def _notes(found: Comparison) -> Iterator[str]:
    fatal = [one for one in found.differences if one.fatal]
    for one in (*fatal, *(one for one in found.differences if not one.fatal)):
        weight = "not comparable" if one.fatal else "differs"
        yield f"{weight}: {one.what}: {one.first} against {one.second}"
    for name, titles in ((found.first, found.only_first), (found.second, found.only_second)):
        if titles:
            yield f"only in {name}: {'; '.join(sorted(titles))}"
    yield (
        "note: the interval is of the samples of these two runs; what changes from run to run is"
        " not in it, so measure both twice before you trust a few percent"
    )
