"""Networks with random weights, translated once a session to every format that a test asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
import torch
from norms import scatter
from torch.fx import GraphModule

from edgenet.host.models import Network, build
from edgenet.host.quantize import Calibrator, ChannelsLast, example_input
from edgenet.host.to_onnx import to_onnx
from edgenet.host.to_tflite import to_tflite
from edgenet.spec import ModelSpec, Preprocess, Variant

LABELS = tuple("abcdefghij")


@dataclass
class Translated:
    """A network, its int8 graph, and the files made of them when they are first asked for."""

    spec: ModelSpec
    network: Network
    int8_graph: GraphModule
    files: dict[Variant, bytes] = field(default_factory=dict)

    def __getitem__(self, variant: Variant) -> bytes:
        if variant not in self.files:
            int8 = variant.startswith("int8")
            graph = self.int8_graph if int8 else ChannelsLast(self.network).eval()
            example = example_input(self.spec)
            self.files[variant] = (
                to_onnx(graph, example, int8=int8)
                if variant.endswith("onnx")
                else to_tflite(graph, example)
            )
        return self.files[variant]

    def pixels(self, count: int) -> np.ndarray:
        """Noise, uint8 (count, 1, H, W, 3)."""
        side = self.spec.preprocess.height
        return np.random.default_rng(0).integers(0, 256, (count, 1, side, side, 3), np.uint8)


@pytest.fixture(scope="session")
def translated() -> Callable[..., Translated]:
    """A function of architecture, alpha, side, depth multiplier and padding."""
    once = cache(_translate)

    def translate(
        arch: str = "mobilenet_v1",
        alpha: float = 0.25,
        side: int = 96,
        depth_multiplier: int = 1,
        padding: str = "same",
    ) -> Translated:
        return once(arch, alpha, side, depth_multiplier, padding)

    return translate


def _translate(
    arch: str, alpha: float, side: int, depth_multiplier: int, padding: str
) -> Translated:
    spec = ModelSpec(arch, alpha, LABELS, Preprocess(side, side), depth_multiplier, padding)
    torch.manual_seed(0)
    network = build(spec).eval()
    # an untrained network's batch norms do nothing and its biases are zero; a trained one's are not
    scatter(network)
    network.classifier.weight.data.normal_(0, 0.1)
    network.classifier.bias.data.normal_(0, 0.3)
    calibrator = Calibrator(network, spec)
    pictures = np.random.default_rng(1).integers(0, 256, (8, 1, side, side, 3), np.uint8)
    calibrator.observe(torch.from_numpy(pictures).float() / 255)
    return Translated(spec, network, calibrator.convert())
