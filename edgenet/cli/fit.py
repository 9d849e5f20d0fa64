"""``edgenet fit``: which networks fit a device, before anybody trains one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgenet.cli import fit_profiles, output
from edgenet.cli.options import Numbers, TargetName, data_option, dataset_of, typed
from edgenet.cli.progress import StageProgress
from edgenet.cli.searching import check, search, search_options, show
from edgenet.errors import LimitExceeded, UsageError

if TYPE_CHECKING:
    from edgenet.fit.calibration import Calibration, Rates
    from edgenet.fit.device import Device
    from edgenet.fit.record import Fit, Limits

_FILE = click.Path(path_type=Path, dir_okay=False)
_CLASSES = 1000
_WITH_PROFILES = ("target_name", "board", "calibration_file", "clock")


class Words(click.ParamType[list[str]]):
    """Words separated by commas."""

    name = "NAME,NAME,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str]:
        words = value.split(",") if isinstance(value, str) else value
        if not all(words):
            self.fail(f"{value!r} has an empty name in it")
        return words


@click.command(short_help="Find the networks that fit a device, before training.")
@click.option("--target", "target_name", required=True, type=TargetName(), help="Device.")
@click.option("--board", metavar="NAME|FILE.toml", help="Which of the target's boards.")
@click.option("--max-latency", metavar="TIME", help="Of an inference, such as 50ms or 0.5s.")
@click.option(
    "--max-flash", metavar="SIZE", help="Such as 512K (x 1024).  [default: all that the board has]"
)
@click.option(
    "--max-ram", metavar="SIZE", help="Such as 256K (x 1024).  [default: all that the board has]"
)
@click.option("--arch", "archs", type=Words(), help="v1, v2, v3 or full names.  [default: all]")
@click.option("--alpha", "alphas", type=Numbers(float), help="Width multipliers: 0.25,0.5.")
@click.option("--imgsz", "sides", type=Numbers(int, least=8, most=2048), help="Sides: 96,128.")
@click.option(
    "--classes", type=click.IntRange(1), help="Of the classifier.  [default: the data's, or 1000]"
)
@data_option("Pictures that will be trained on; only their classes are counted.")
@click.option(
    "--accuracy",
    "accuracies",
    multiple=True,
    type=_FILE,
    metavar="FILE|measured",
    help="Top-1 from edgenet evaluate --json in place of what is published, may be repeated; or "
    "measured: this project's own table, and only its networks.",
)
@click.option("--num-threads", type=click.IntRange(1), help="Threads of the engine.")
@click.option(
    "--instructions", is_flag=True, help="Count instructions of what fits in QEMU, exactly."
)
@click.option(
    "--calibrate",
    "profiles",
    multiple=True,
    type=_FILE,
    metavar="PROFILE",
    help="Learn the board's speed from edgenet profile --json; may be repeated.",
)
@click.option(
    "--calibration", "calibration_file", type=_FILE, help="The board's speed, kept in this file."
)
@click.option(
    "--compare",
    "compared",
    multiple=True,
    type=_FILE,
    metavar="PROFILE",
    help="Show predictions beside what edgenet profile --json measured; may be repeated.",
)
@click.option(
    "--clock",
    metavar="HZ",
    help="Of the firmware whose cycles are in PROFILE: 168MHz.  [default: the core's highest]",
)
@search_options
@click.option("--all", "every", is_flag=True, help="Show what does not fit, too.")
@click.option(
    "--json", "as_json", is_flag=True, help="Write JSON, which edgenet train --like takes."
)
@click.option("--html", "html_file", type=output.REPORT, help="Write a page with a plot.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    target_name: str,
    profiles: tuple[Path, ...],
    calibration_file: Path | None,
    compared: tuple[Path, ...],
    clock: str | None,
    **options: Any,
) -> None:
    """Find which networks fit a device: flash, RAM, multiply-adds and latency of each.

    Flash and RAM of microcontrollers are those of the generated program, to the byte. Latency is
    predicted once the board is calibrated with profiles of a few networks on it.
    """
    from edgenet import target
    from edgenet.fit import device as devices

    if profiles:
        fit_profiles.check_alone(ctx, "profiles", *_WITH_PROFILES)
    elif compared:
        fit_profiles.check_alone(ctx, "compared", *_WITH_PROFILES, "as_json")
    elif clock is not None:
        raise UsageError(
            "--clock is that of cycles in profiles; give them with --calibrate or --compare, or"
            " drop it"
        )
    output.check_folders(options["html_file"])
    check(options)
    found = devices.choose(target.load(target_name), options["board"])
    if profiles:
        fit_profiles.calibrate(found, profiles, clock, calibration_file)
        return
    calibration = _calibration(found, calibration_file)
    if compared:
        seen = fit_profiles.read(found, compared, clock)
        fit_profiles.compare(found, calibration, seen, as_json=options["as_json"])
        return
    answer = _fit(ctx, found, calibration, options)
    if options["folder"] is None:
        _show(answer, options)
    else:
        show(answer, search(answer, options), options)


def _calibration(device: Device, file: Path | None) -> Calibration | None:
    """That of a file, or the board's own where it was calibrated."""
    from edgenet.fit import calibration

    place = file or calibration.folder() / f"{device.name}.json"
    if file is None and not place.is_file():
        return None
    found = calibration.read(place)
    if found.board != device.name:
        raise UsageError(
            f"{place} is the calibration of {found.board}, not of {device.name}; name that with"
            " --target and --board, or give another file"
        )
    return found


def _rates(
    device: Device, calibration: Calibration | None, options: dict[str, Any]
) -> Rates | None:
    if calibration is None:
        for option in ("num_threads", "max_latency"):
            if options[option] is not None:
                raise UsageError(
                    f"{device.name} was never calibrated, so its latency is not known; drop"
                    f" --{option.replace('_', '-')}, or profile five bundles on it and run:"
                    f" edgenet fit {_named(device)} --calibrate P1.json --calibrate P2.json ..."
                )
        if options["max_ram"] is not None and not device.generates:
            raise UsageError(
                f"{device.name} was never calibrated, so RAM is not known; drop --max-ram, or run:"
                f" edgenet fit {_named(device)} --calibrate P1.json ..."
            )
        return None
    rates = calibration.choose(device.target.runnable, options["num_threads"])
    if options["max_ram"] is not None and not device.generates and rates.memory is None:
        raise UsageError(
            f"RAM was not measured where {device.name} was calibrated; drop --max-ram, or calibrate"
            " with profiles that have it"
        )
    return rates


def _named(device: Device) -> str:
    board = f" --board {device.board.name}" if device.board else ""
    return f"--target {device.target.name}{board}"


def _fit(
    ctx: click.Context, device: Device, calibration: Calibration | None, options: dict[str, Any]
) -> Fit:
    from edgenet.fit import accuracy, counting, generated, point, table
    from edgenet.fit.cache import Cache

    limits = device.limits(_limits(options))
    rates = _rates(device, calibration, options)
    if options["instructions"]:
        counting.check(device)
    with StageProgress() as progress:
        dataset = dataset_of(options["data"], progress=progress)
        classes = options["classes"] or (len(dataset.labels) if dataset else _CLASSES)
        known = accuracy.known(options["accuracies"])
        wanted = options["archs"] or [], options["alphas"] or [], options["sides"] or []
        own = accuracy.asks_for_own(options["accuracies"])
        points = point.listed(known, *wanted, classes) if own else point.grid(*wanted, classes)
        accuracy.check_comparable(points, known)
        question = table.Question(
            device=device,
            points=points,
            limits=limits,
            known=known,
            rates=rates,
            host=calibration.host if calibration else "",
            labels=len("".join(f"{one}\n" for one in dataset.labels).encode()) if dataset else None,
            cache=Cache(generated.compiler()) if device.generates else None,
            command=typed(ctx),
        )
        found = table.answer(question, progress=progress)
        if options["instructions"]:
            rows = counting.counted(found.rows, device, progress=progress)
            found = table.judged(rows, question)
    return found


def _limits(options: dict[str, Any]) -> Limits:
    from edgenet.fit import units
    from edgenet.fit.record import Limits

    flash, ram, latency = (options[name] for name in ("max_flash", "max_ram", "max_latency"))
    return Limits(
        flash=None if flash is None else units.size(flash),
        ram=None if ram is None else units.size(ram),
        latency_ms=None if latency is None else units.milliseconds(latency),
    )


def _show(found: Fit, options: dict[str, Any]) -> None:
    from edgenet.fit import record
    from edgenet.report import fit_page, fit_text

    if options["as_json"]:
        click.echo(record.encode(found), nl=False)
    else:
        click.echo(fit_text.text(found, every=options["every"]), nl=False)
    if options["html_file"] is not None:
        output.save(options["html_file"], fit_page.page(found))
    if found.recommended is None:
        raise LimitExceeded(fit_text.shortfall(found))
