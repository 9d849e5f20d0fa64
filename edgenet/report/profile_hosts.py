"""Several machines' profiles side by side, as text, CSV and a page."""

from __future__ import annotations

from collections.abc import Callable

from edgenet.profile.profiles import HostProfile, Profiles
from edgenet.profile.recommend import recommend, recommended
from edgenet.profile.record import STAGES, Profile, Run, run_title
from edgenet.report import html, plot, profile_csv, profile_page, profile_text
from edgenet.report.html import Markup, Section, badge, escape
from edgenet.report.profile_text import governor, place, temperature, throttling, watched
from edgenet.report.text import table
from edgenet.report.units import ms

_CAPTION = "median of invoke on each machine, milliseconds"
_COLOURS = {"preprocess": 6, "invoke": 1, "postprocess": 7}


def text(found: Profiles) -> str:
    """The table of all machines, then each machine's own report."""
    parts = [_machines_text(found)]
    if found.measured:
        rows = _rows(found, lambda run: _cell(run, " THROTTLED"))
        names = [_head(host, profile) for host, profile in found.measured]
        parts.append(f"{_CAPTION}\n{table(('variant', 'threads', *names), rows)}")
    for host, profile in found.measured:
        parts.append(f"=== {host} ===\n{profile_text.text(profile).rstrip()}")
    return "\n\n".join(parts) + "\n"


def csv(found: Profiles) -> str:
    """The rows of every machine, its name in the first column."""
    return profile_csv.text_of(found.measured)


def page(found: Profiles) -> str:
    """The whole document."""
    name = next((profile.bundle for _, profile in found.measured), "nothing measured")
    title = f"{name}: profile on {len(found.hosts)} machines"
    sections = [Section("machines", "Side by side", _side_by_side(found))]
    for number, (host, profile) in enumerate(found.measured):
        body = profile_page.lead(profile) + "".join(
            f"<h3>{escape(part.title)}</h3>{part.body}" for part in profile_page.sections(profile)
        )
        sections.append(Section(f"machine-{number}", host, body))
    return html.page(title, sections)


def _machines_text(found: Profiles) -> str:
    lines = [f"{len(found.measured)} of {len(found.hosts)} machines measured"]
    for one in found.hosts:
        if one.profile is None:
            lines.append(f"  {one.host}: NOT MEASURED: {one.error}")
            continue
        best = recommend(one.profile)
        state = throttling(watched(one.profile)) or "throttling not known"
        lines.append(f"  {one.host}: {place(one.profile)}; {state}")
        if best is not None:
            mark = "  THROTTLED" if best.throttled else ""
            name = run_title(best.variant, best.threads)
            lines.append(f"    recommended: {name}, {ms(best.p50_ms)} ms a frame{mark}")
    return "\n".join(lines)


def _side_by_side(found: Profiles) -> str:
    machines = html.table(
        ("machine", "board", "recommended", "throttling", "governor", "temperature"),
        [_machine(one) for one in found.hosts],
        texts=6,
    )
    machines += "".join(
        html.note(f"{one.host} was not measured: {one.error}")
        for one in found.hosts
        if one.profile is None
    )
    if not found.measured:
        return machines
    names = [_head(host, profile) for host, profile in found.measured]
    rows = _rows(found, _badged)
    caption = f"{_CAPTION[:1].upper()}{_CAPTION[1:]}."
    compared = html.table(("variant", "threads", *names), rows, caption=caption)
    return machines + compared + _bars(found)


def _machine(one: HostProfile) -> tuple[object, ...]:
    if one.profile is None:
        return one.host, badge("not measured", "bad"), None, None, None, None
    profile, runs = one.profile, watched(one.profile)
    slowed = throttling(runs)
    kind = "bad" if any(run.throttled for run in runs) else "ok"
    emulated = profile.machine.emulator
    board = Markup(
        escape(profile.machine.board or profile.machine.cpu or "not known")
        + (f" {badge(f'emulated: {emulated}', 'bad')}" if emulated else "")
    )
    shown = "not known" if slowed is None else badge(slowed, kind)
    best = profile_page.recommendation(profile)
    return one.host, board, best, shown, governor(runs), temperature(runs)


def _head(host: str, profile: Profile) -> str:
    return f"{host} (EMULATED)" if profile.machine.emulator else host


def _rows(found: Profiles, cell: Callable[[Run | None], object]) -> list[tuple[object, ...]]:
    """A row for each variant and number of threads that any machine ran."""
    runs = [
        {(run.variant, run.threads): run for run in profile.runs} for _, profile in found.measured
    ]
    keys = dict.fromkeys(key for one in runs for key in one)
    return [(*key, *(cell(one.get(key)) for one in runs)) for key in keys]


def _cell(run: Run | None, mark: str) -> str | None:
    if run is None:
        return None
    return f"{ms(run.stats['invoke'].p50_ms)}{mark if run.throttled else ''}"


def _badged(run: Run | None) -> Markup | None:
    if run is None:
        return None
    mark = f" {badge('throttled', 'bad')}" if run.throttled else ""
    return Markup(f"{_cell(run, '')}{mark}")


def _bars(found: Profiles) -> str:
    """From picture to answer with what is recommended for each machine."""
    rows = [
        (
            _bar_title(_head(host, profile), run),
            [(_COLOURS[s], run.stats[s].p50_ms, s) for s in STAGES[:3]],
        )
        for host, profile in found.measured
        if (run := recommended(profile)) is not None
    ]
    caption = "Medians of the stages of one frame, with what is recommended for each machine"
    key = plot.legend([(colour, stage) for stage, colour in _COLOURS.items()])
    drawn = plot.bars(rows, unit="ms", title=caption)
    return key + html.figures([html.figure(drawn, caption)])


def _bar_title(host: str, run: Run) -> str:
    mark = " (THROTTLED)" if run.throttled else ""
    return f"{host}: {run_title(run.variant, run.threads)}{mark}"
