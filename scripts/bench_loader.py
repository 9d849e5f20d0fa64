"""The measurements of scripts/bench_loader, whose header says what they are."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch

from edgenet.dataset import open_dataset
from edgenet.environment import Probe
from edgenet.host import data, learner, optimizer, recipe
from edgenet.host.callbacks import Observer
from edgenet.host.data import Batches
from edgenet.host.machine import Machine
from edgenet.host.models import build
from edgenet.host.settings import Settings, default_spec
from edgenet.host.train import train

LEAST = 0.9
WARM_UP = 3
# other work on the machine comes and goes: the best of some rounds is compared, all by turns
ROUNDS = 3


class Clock(Observer):
    """Notes when each training step ended."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def progress(self, what: str, done: int, total: int) -> None:
        if what == "training":
            self.at.append(time.perf_counter())


def seconds(work: Callable[[], object], times: int, device: torch.device) -> float:
    """Median seconds of one call, after a warm-up."""
    samples = []
    for _ in range(WARM_UP + times):
        begun = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        samples.append(time.perf_counter() - begun)
    return statistics.median(samples[WARM_UP:])


def loader_alone(pictures: data.Pictures, batch: int, steps: int, device: torch.device) -> float:
    """Images per second of drawing batches and bringing them to the device."""
    passes = iter(())

    def draw() -> None:
        nonlocal passes
        drawn = next(passes, None)
        if drawn is None:
            passes = iter(Batches(pictures, batch, seed=0))
            drawn = next(passes)
        for tensor in drawn:
            tensor.to(device, non_blocking=True)

    return batch / seconds(draw, max(steps, 50), device)


def step_alone(
    settings: Settings, pictures: data.Pictures, steps: int, device: torch.device
) -> float:
    """Images per second of augmentation, forward, backward, optimizer and average on one batch."""
    torch.manual_seed(0)
    module = learner.Learner(
        build(settings.spec), settings.recipe, settings.spec.preprocess,
        train=pictures, val=pictures, seed=0,
    ).to(device)  # fmt: skip
    made = optimizer.make(module.model, settings.recipe.optimizer)
    drawn = next(iter(Batches(pictures, settings.recipe.batch_size, seed=0)))
    pixels, labels = (tensor.to(device) for tensor in drawn)
    module.train()
    module.on_train_start()

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision != "32"):
            loss = module.training_step((pixels, labels), 0)
        made.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.model.parameters(), 5.0)
        made.step()
        module.on_train_batch_end(None, None, 0)

    return len(labels) / seconds(step, steps, device)


def both(settings: Settings, machine: Machine, batch: int) -> float:
    """Images per second of a training run: the median over its steps, epochs' ends left out."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        train(settings, Path(folder) / "run", machine=machine, observer=clock)
    steps = [later - earlier for earlier, later in zip(clock.at, clock.at[1:], strict=False)]
    return batch / statistics.median(steps[WARM_UP:])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("--imgsz", type=int)
    parser.add_argument("--alpha", type=float)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--precision", choices=("32", "bf16-mixed"), default="32")
    parser.add_argument("--accelerator", choices=("auto", "cpu", "gpu"), default="auto")
    parser.add_argument("--json", type=Path, metavar="FILE", help="last; write the result")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    on_gpu = given.accelerator != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda", 0) if on_gpu else torch.device("cpu")

    dataset = open_dataset(given.data)
    wanted = {"arch": None, "alpha": given.alpha, "imgsz": given.imgsz, "resize": None}
    spec = default_spec(given.data, dataset.labels, init=None, wanted=wanted)
    begun = time.perf_counter()
    pictures = data.prepare(dataset.splits["train"], spec.preprocess, cache=given.cache)
    decoding = len(pictures) / (time.perf_counter() - begun)
    pictures.move(device)

    batch = min(given.batch_size, len(pictures))
    per_epoch = len(pictures) // batch
    epochs = -(-(given.steps + WARM_UP) // per_epoch)
    chosen = recipe.scaled(recipe.load("modern"), epochs=epochs, batch_size=batch)
    chosen = msgspec.structs.replace(chosen, validate_every=epochs)
    settings = Settings(data=given.data, spec=spec, recipe=chosen, precision=given.precision)
    machine = Machine(accelerator=given.accelerator, logger="none", cache=given.cache)

    alone = {"loader alone": 0.0, "step alone": 0.0}
    together = 0.0
    for _ in range(ROUNDS):
        loader = loader_alone(pictures, batch, given.steps, device)
        step = step_alone(settings, pictures, given.steps, device)
        alone = {
            "loader alone": max(loader, alone["loader alone"]),
            "step alone": max(step, alone["step alone"]),
        }
        together = max(together, both(settings, machine, batch))
    share = together / min(alone.values())
    size = spec.preprocess
    print(f"{spec.arch} {spec.alpha:g} at {size.height}x{size.width}, batches of {batch}, {device}")
    print(f"  {'decoded once':<14} {decoding:>10,.0f} images/s")
    for name, rate in (*alone.items(), ("both", together)):
        print(f"  {name:<14} {rate:>10,.0f} images/s")
    print(f"  both is {share:.0%} of the slower; at least {LEAST:.0%} is asked for")
    if given.json:
        words = ["scripts/bench_loader", *sys.argv[1 : sys.argv.index("--json")]]
        what = f"training over the slower of loader and step, {spec.arch} {spec.alpha} at"
        result = {
            "what": f"{what} {size.height} px, batches of {batch}",
            "measured": f"{share:.0%} ({together:,.0f} images/s)",
            "demanded": f"at least {LEAST:.0%}",
            "images_per_s": alone | {"decoding": decoding, "both": together},
        }
        record = {
            "command": " ".join("DATA" if word == given.data else word for word in words),
            "machine": msgspec.to_builtins(Probe().machine()),
            "results": [result],
        }
        given.json.write_text(json.dumps(record, indent=2) + "\n")
    return 0 if share >= LEAST else 3


if __name__ == "__main__":
    sys.exit(main())
