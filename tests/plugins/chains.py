"""Networks whose layers follow one another, and their programs under ever smaller budgets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from benchmark_networks import Growing
from networks import Network

from edgenet.codegen.program import Program, program
from edgenet.errors import LimitExceeded


class _Alive(Network):
    """Without dead channels, and with biases that are small beside the sums: all codes matter."""

    def _quantized(self, x: int, weight: np.ndarray, axis: int, *, dead: bool):
        spread, bias, scale = super()._quantized(x, weight, axis, dead=False)
        return spread, bias // 8, scale


def chain(seed: int) -> bytes:
    """Convolutions, depthwise and pixelwise ones, and pools, of any stride and padding."""
    rng = np.random.default_rng(seed)
    network = _Alive(rng, size=int(rng.integers(8, 23)), channels=int(rng.integers(1, 5)))
    x = network.input
    for _ in range(int(rng.integers(3, 10))):
        x = _grown(network, x, rng)
    if rng.random() < 0.5:
        x = network.fully_connected(network.mean(x), 3, dead=False)
    return network.file(x)


def _grown(network: Network, x: int, rng: np.random.Generator) -> int:
    kind, stride = rng.integers(8), int(rng.choice([1, 1, 1, 2, 2, 3]))
    count = int(rng.integers(4, 24))
    side = min(network.shape(x)[1:3])
    kernel = int(rng.integers(1, min(3, side) + 1))
    if kind <= 2 or side < 2:
        return network.conv(x, count)
    if kind <= 4:
        return network.depthwise(x, kernel=kernel, stride=stride, multiplier=1 + (kind == 4))
    if kind == 5:
        return network.relu6(network.conv(x, count))
    if kind == 6:
        return network.pool(x, str(rng.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D"])))
    return network.conv(x, count, kernel=kernel, stride=stride)


def separable(seed: int = 1) -> bytes:
    """Pixelwise and depthwise convolutions in turn, padded, whose codes spread as trained ones."""
    rng = np.random.default_rng(seed)
    grown = Growing((int(rng.integers(9, 15)), 12, 3), seed)
    x = grown.conv(grown.input, 16)
    for _ in range(2):
        stride, multiplier = (int(rng.integers(1, 3)) for _ in range(2))
        x = grown.conv(grown.depthwise(x, stride, multiplier), int(rng.integers(9, 24)))
    return grown.file(grown.conv(x, 7, (3, 3), activation="NONE"), softmax=False)


def budgets(data: bytes, most: int = 6) -> Iterator[Program]:
    """The program without a budget, then each under one byte less than the one before took."""
    made = program(data, "net")
    for _ in range(most):
        yield made
        try:
            made = program(data, "net", sram_budget=made.plan.size - 1)
        except LimitExceeded:
            return
