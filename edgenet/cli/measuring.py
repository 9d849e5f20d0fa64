"""What ``edgenet profile`` does with its options: measure here, or on other machines over ssh."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenet.cli.progress import StageProgress
from edgenet.errors import UsageError, unknown

if TYPE_CHECKING:
    from edgenet.bundle import Bundle
    from edgenet.profile.profiles import Profiles
    from edgenet.profile.record import Profile, Settings
    from edgenet.remote import Remote
    from edgenet.spec import Variant

Options = Mapping[str, Any]


def here(folder: Path, options: Options, command: str) -> Profile:
    """Measure a bundle on this machine.

    Args:
        folder: the bundle's.
        options: of ``edgenet profile``.
        command: what was typed, for the record.
    """
    from edgenet.bundle import Bundle
    from edgenet.environment import Probe
    from edgenet.profile import service
    from edgenet.profile.measure import measure

    settings = _settings(options)
    bundle = Bundle.open(folder)
    variants = _variants(bundle, options["variants"])
    probe = Probe()
    competitors = service.running()
    stop = bool(competitors) and options["stop_service"]
    with StageProgress() as progress, service.stopped() if stop else nullcontext():
        if competitors:
            progress.say(_beside(competitors, stop))
        return measure(
            bundle,
            variants=variants,
            threads=_threads(options["num_threads"], probe.machine().cores),
            settings=settings,
            command=command,
            probe=probe,
            competitors=() if stop else competitors,
            progress=progress,
        )


def there(
    folder: Path, hosts: Sequence[str], options: Options, words: Sequence[str]
) -> Profile | Profiles:
    """Measure a bundle on other machines, one after the other.

    Args:
        folder: the bundle's.
        hosts: their addresses; one alone gives a profile.
        options: of ``edgenet profile``, checked here before anybody is called.
        words: the options as they were typed.
    """
    from edgenet.bundle import Bundle
    from edgenet.deploy import environment
    from edgenet.profile import profiles
    from edgenet.profile.remote import measure_on, measure_on_each

    _settings(options)
    variants = _variants(Bundle.open(folder), options["variants"])
    twice = [host for host in hosts if hosts.count(host) > 1]
    if twice:
        raise UsageError(f"--host {twice[0]} is given twice; once is enough")

    def ensure(remote: Remote, say: Callable[[str], None]) -> str:
        # what a release needs is most likely there already; it lacks ONNX Runtime alone
        extra = "pc" if any(name.endswith(".onnx") for name in variants) else "rpi"
        return environment.ensure(remote, extra=extra, offline=options["offline"], on_stage=say)

    with StageProgress() as progress:

        def measure(host: str) -> Profile:
            def say(line: str) -> None:
                progress.say(f"{host}: {line.strip()}")

            return measure_on(host, folder, words, ensure=ensure, say=say)

        if len(hosts) == 1:
            return measure(hosts[0])
        return profiles.of(*measure_on_each(hosts, measure))


def _beside(services: Sequence[str], stop: bool) -> str:
    names = ", ".join(services)
    if stop:
        return f"{names} is stopped until this ends"
    return f"{names} runs here and competes for the CPU; --stop-service stops it meanwhile"


def _threads(wanted: list[int] | str | None, cores: int) -> Sequence[int]:
    from edgenet.profile.measure import sweep

    if wanted is None:
        return sweep(cores)
    return range(1, cores + 1) if isinstance(wanted, str) else sorted(set(wanted))


def _settings(options: Options) -> Settings:
    from edgenet.profile.record import Settings

    if options["max_secs"] < options["min_secs"]:
        raise UsageError(
            f"--max-secs is {options['max_secs']:g}, below --min-secs {options['min_secs']:g}"
        )
    width, height = options["frame_size"]
    names = ("num_runs", "warmup_runs", "min_secs", "max_secs", "op_profile", "sustained_secs")
    return Settings(
        **{name: options[name] for name in names}, frame_width=width, frame_height=height
    )


def _variants(bundle: Bundle, wanted: tuple[str, ...]) -> list[Variant]:
    for name in wanted:
        if name not in bundle.variants:
            raise UsageError(unknown("variant", name, bundle.variants))
    return [name for name in bundle.variants if not wanted or name in wanted]
