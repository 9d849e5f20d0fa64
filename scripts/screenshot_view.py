"""Takes the pictures of the live view that docs/view.md shows.

python scripts/screenshot_view.py BUNDLE [FOLDER]     FOLDER is docs unless it is given

The page is the real one, of a loop that classifies the test card; the board's temperature is a
stand-in's, since the machine at hand may tell none.  Needs chromium, of scripts/tools.txt.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chromium import chromium

from edgenet import view
from edgenet.bundle import Bundle
from edgenet.environment import Probe
from edgenet.stream import loop
from edgenet.stream.decide import Decide
from edgenet.stream.fake import Fake
from edgenet.stream.grabber import Grabber
from edgenet.stream.mode import Mode
from edgenet.stream.runner import InProcess
from edgenet.stream.statistics import Statistics
from edgenet.stream.stop import Stop

SEEN_S = 6
SHOTS = (
    ("view-phone.webp", {"width": 390, "height": 1190, "scale": 1.5, "dark": True}),
    ("view-desktop.webp", {"width": 1280, "height": 800, "scale": 1, "dark": False}),
)


@contextmanager
def served(folder: Path, source: Any, board: Probe) -> Iterator[str]:
    """The address of a page whose loop classifies ``source`` with the bundle in ``folder``."""
    bundle = Bundle.open(folder)
    statistics = Statistics()
    runner = InProcess(bundle, "int8.tflite")
    runner.prepare(folder)
    decide = Decide(bundle.labels, smooth=0.8)
    shown = view.serve(statistics, labels=bundle.labels, port=0, environment=board)
    stop = Stop()
    work = threading.Thread(
        target=loop.run,
        args=(source, runner.run, decide, [shown]),
        kwargs={"statistics": statistics, "stop": stop},
    )
    with closing(shown):
        work.start()
        try:
            yield shown.url
        finally:
            source.close()
            work.join()


@contextmanager
def stand_in(celsius: float) -> Iterator[Probe]:
    """A board that tells its temperature and that nothing slows it down."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in {
            "sys/class/thermal/thermal_zone0/temp": f"{celsius * 1000:.0f}",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "0",
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        yield Probe(root)


async def shoot(url: str, folder: Path) -> None:
    async with chromium() as page:
        await page.look(**SHOTS[0][1])
        await page.open(url)
        await page.until("document.body.dataset.status === 'live'")
        await asyncio.sleep(SEEN_S)
        for name, window in SHOTS:
            await page.look(**window)
            await asyncio.sleep(1)
            await page.screenshot(folder / name)
            print(folder / name, (folder / name).stat().st_size, "bytes")


def main() -> None:
    if not 2 <= len(sys.argv) <= 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    bundle = Path(sys.argv[1])
    folder = Path(sys.argv[2]) if len(sys.argv) == 3 else Path(__file__).parent.parent / "docs"
    camera = Grabber(lambda: Fake(Mode(fps=15.0)), on_event=print)
    with stand_in(51.6) as board, served(bundle, camera, board) as url:
        asyncio.run(shoot(url, folder))


if __name__ == "__main__":
    main()
