"""The page in a real browser."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest

from edgenet.environment import Probe

from .conftest import LABELS, Loop

pytestmark = [pytest.mark.slow, pytest.mark.tool("chromium")]

SCRIPT = Path(__file__).parents[2] / "scripts" / "chromium.py"
HOSTILE = """<img src=x onerror="document.title='taken'">'"&amp;</p><script>boom()</script>"""
LIVE = "document.querySelector('[data-link=open][data-status=live]') !== null"
# WCAG 2: the ratio of the luminances of text and of what is behind it
CONTRAST = """(() => {
  const linear = (c) => ((c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = numbers(getComputedStyle(node).backgroundColor);
      if (color.length === 3) return color;
    }
  };
  const kinds = "main p, main dt, main dd, main small, main span, footer span, h1, h2, header p";
  const seen = [...document.querySelectorAll(kinds)]
    .filter((node) => node.offsetParent && node.textContent.trim() && !node.closest(".stage"));
  const ratios = seen.map((node) => {
    const [a, b] = [numbers(getComputedStyle(node).color), behind(node)].map(luminance);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
  return Math.min(...ratios);
})()"""


def driver() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chromium", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def giving(loop: Loop, label: str = "cat", **options: Any) -> AsyncIterator[None]:
    """A loop that gives frames while the block runs."""

    async def give() -> None:
        while True:
            loop.give(label, **options)
            await asyncio.sleep(0.03)

    task = asyncio.create_task(give())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def browse() -> Callable[[Callable[[Any], Awaitable[None]]], None]:
    """Do something with a tab, which must not complain."""

    def start(visit: Callable[[Any], Awaitable[None]], *, complaints: int = 0) -> None:
        async def go() -> None:
            async with driver().chromium() as page:
                await page.look(1280, 800)
                await visit(page)
                assert len(page.complaints) <= complaints, page.complaints

        asyncio.run(go())

    return start


def text(node: str) -> str:
    return f"document.getElementById({node!r}).textContent"


@pytest.fixture
def warm(tmp_path) -> Path:
    """A board at 61.5 degrees which can be slowed down."""
    for name, value in {
        "sys/class/thermal/thermal_zone0/temp": "61500",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "0",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(value)
    return tmp_path


def test_the_page_shows_the_picture_the_answer_and_the_numbers(serve, browse, warm):
    loop = serve(environment=Probe(warm))
    throttled = warm / "sys/devices/platform/soc/soc:firmware/get_throttled"

    async def visit(page: Any) -> None:
        async with giving(loop, "golf_ball"):
            await page.open(loop.view.url)
            await page.until(LIVE)
            await page.until(f"{text('label')} === 'golf ball' && {text('sure')} === '90 %'")
            first = await page.evaluate("document.getElementById('picture').toDataURL()")
            await page.until(f"document.getElementById('picture').toDataURL() !== {first!r}")
            size = "[document.getElementById('picture').width, document.title]"
            assert await page.evaluate(size) == [320, "golf ball · edgenet"]
            await page.until(f"{text('p50')} === '11' && {text('p99')} === '11'")
            await page.until(
                f"{text('temperature')} === '62 °C' && {text('throttling')} === 'none'"
            )
            await page.until(f"{text('dropped')} === '3 frames' && Number({text('fps')}) > 1")
            assert "dog6 %" in await page.evaluate(text("others"))
            stages = await page.evaluate(text("stages"))
            assert stages == "capture4.0preprocess1.0invoke5.0postprocess0.5publish0.3"
            line = "document.getElementById('line').getAttribute('d').split('L').length"
            await page.until(f"{line} > 10")
            assert await page.evaluate("document.getElementById('warning').hidden")
            throttled.write_text("50005")
            await page.until(f"{text('warning')} === 'Slowed down: under-voltage, throttled'")
            throttled.write_text("50000")
            await page.until(f"{text('earlier')} === 'earlier: under-voltage, throttled'")
        async with giving(loop, "owl"):
            await page.until(f"{text('label')} === 'owl'")
        async with giving(loop, known=False):
            await page.until(f"{text('label')} === 'unknown' && {text('sure')} === ''")
        origins = {urlsplit(url).netloc for url in page.requests}
        assert origins == {urlsplit(loop.view.url).netloc}

    browse(visit)


def test_a_hostile_label_is_only_text(serve, browse):
    loop = serve(labels=(HOSTILE, *LABELS))

    async def visit(page: Any) -> None:
        async with giving(loop, HOSTILE):
            await page.open(loop.view.url)
            images = await page.evaluate("document.images.length")
            await page.until(f"{text('label')} === {HOSTILE!r}")
            await page.until(f"document.title.startsWith({HOSTILE!r})")
            assert await page.evaluate("document.images.length") == images
            assert await page.evaluate("document.scripts.length") == 1

    browse(visit)


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_the_page_does_not_scroll_sideways(serve, browse, width):
    loop = serve()

    async def visit(page: Any) -> None:
        await page.look(width, 740)
        for label in ("a", "w" * 60, "black-footed ferret, polecat, Mustela nigripes"):
            async with giving(loop, label):
                await page.open(loop.view.url)
                await page.until(f"{text('label')} === {label!r}")
                assert await page.evaluate("innerWidth") == width
                assert await page.evaluate("document.documentElement.scrollWidth") == width

    browse(visit)


def test_dark_and_light_are_both_legible(serve, browse, warm):
    loop = serve(environment=Probe(warm))
    (warm / "sys/devices/platform/soc/soc:firmware/get_throttled").write_text("50005")

    async def visit(page: Any) -> None:
        async with giving(loop):
            await page.open(loop.view.url)
            await page.until(f"{text('warning')} !== ''")
            papers = set()
            for dark in (False, True):
                await page.look(390, 844, dark=dark)
                paper = await page.evaluate("getComputedStyle(document.body).backgroundColor")
                papers.add(paper)
                assert await page.evaluate(CONTRAST) >= 4.5
            assert len(papers) == 2

    browse(visit)


def test_a_lost_camera_is_shown_and_its_return_too(serve, browse, statistics):
    loop = serve()

    async def visit(page: Any) -> None:
        await page.open(loop.view.url)
        await page.until(f"{text('veil-title')} === 'Waiting for the first picture'")
        async with giving(loop):
            await page.until(LIVE)
        statistics.note("the camera is lost: no such device")
        await page.until("document.body.dataset.status === 'lost'")
        assert await page.evaluate(text("veil-text")) == "the camera is lost: no such device"
        shown = "getComputedStyle(document.querySelector('.veil')).display"
        assert await page.evaluate(shown) == "flex"
        async with giving(loop):
            await page.until(LIVE)
            assert await page.evaluate(shown) == "none"

    browse(visit)


def test_a_page_whose_view_ended_says_so_and_finds_the_next_one(serve, browse):
    loop = serve()

    async def visit(page: Any) -> None:
        async with giving(loop):
            await page.open(loop.view.url)
            await page.until(LIVE)
        loop.view.close()
        await page.until(f"{text('pill-text')} === 'Not connected'")
        again = serve(port=urlsplit(loop.view.url).port)
        async with giving(again):
            await page.until(LIVE)

    # a connection that is refused is written to the console by the browser
    browse(visit, complaints=20)


def test_the_token_leaves_the_address_and_no_script_can_read_it(serve, browse):
    first = serve(token="the-first-token-of-two")
    port = urlsplit(first.view.url).port

    async def visit(page: Any) -> None:
        async with giving(first):
            await page.open(f"{first.view.url}?token=the-first-token-of-two")
            await page.until(LIVE)
            assert await page.evaluate("location.search + document.cookie") == ""
            await page.open(first.view.url)
            await page.until(LIVE)
        first.view.close()
        second = serve(token="the-second-token-of-two", port=port)
        await page.until("document.querySelector('form') !== null")
        await page.evaluate("document.getElementById('token').value = 'the-second-token-of-two'")
        async with giving(second):
            await page.evaluate("document.querySelector('form').submit()")
            await page.until(LIVE)

    browse(visit, complaints=20)


async def passed(loop: Any, frames: int) -> None:
    last = loop.number + frames
    while loop.number < last:
        await asyncio.sleep(0.01)


def test_a_hidden_tab_costs_nothing(serve, browse, encodes):
    loop = serve()

    async def visit(page: Any) -> None:
        async with giving(loop):
            await page.open(loop.view.url)
            await page.until(LIVE)
            hide = "Object.defineProperty(document, 'hidden', {configurable: true, get: () => %s})"
            await page.evaluate(hide % "true")
            await passed(loop, frames=20)
            count = len(encodes)
            await passed(loop, frames=20)
            assert len(encodes) == count > 0
            await page.evaluate(hide % "false")
            await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            number = loop.number
            while not encodes[-1] > number:
                await asyncio.sleep(0.05)

    browse(visit)


def test_a_screen_reader_is_not_flooded_and_everything_has_a_name(serve, browse):
    loop = serve()

    async def visit(page: Any) -> None:
        await page.open(loop.view.url)
        await page.evaluate(
            "window.spoken = 0; new MutationObserver(() => spoken++)"
            ".observe(document.getElementById('spoken'), {childList: true})"
        )
        for label in ("cat", "dog", "owl", "cow", "pig"):
            async with giving(loop, label):
                await page.until(f"{text('label')} === {label!r}")
        assert await page.evaluate("spoken") == 1
        assert await page.evaluate(text("spoken")) == "cat"
        nameless = await page.evaluate(
            "[...document.querySelectorAll('canvas, button, section, svg[role]')]"
            ".filter((n) => !n.ariaLabel && !n.getAttribute('aria-labelledby')).length"
        )
        assert nameless == 0
        assert await page.evaluate("document.documentElement.lang") == "en"

    browse(visit)
