"""Write tests/golden/tiny: a bundle of a tiny network that tells the golden frames apart.

Usage: python scripts/make_golden.py    (needs the host extra; takes seconds)

Its four models are real ones, so tests of the device side run them without torch.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgenet import bundle, golden, image, runtime
from edgenet.bundle import Calibration, Golden
from edgenet.host.quantize import Calibrator, ChannelsLast, example_input
from edgenet.host.to_onnx import to_onnx
from edgenet.host.to_tflite import to_tflite
from edgenet.spec import EXPORTED, ModelSpec, Preprocess

DESTINATION = Path(__file__).parent.parent / "tests" / "golden" / "tiny"
LABELS = ("colour card", "ramps", "stripes", "bright corner", "discs", "plasma")
SPEC = ModelSpec("tiny", 1.0, LABELS, Preprocess(16, 16))
PACKAGES = ("torch", "torchao", "litert-torch", "ai-edge-litert", "onnx", "onnxruntime", "numpy")


class Tiny(nn.Module):
    """One depthwise separable block: every operator of a MobileNetV1 once."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.ZeroPad2d((0, 1, 0, 1)),
            nn.Conv2d(3, 8, 3, stride=2),
            nn.ReLU6(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.ReLU6(),
            nn.Conv2d(8, 8, 1),
            nn.ReLU6(),
        )
        self.classifier = nn.Linear(8, len(LABELS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).mean((2, 3), keepdim=True).flatten(1))


def train(pictures: torch.Tensor) -> nn.Module:
    """A network that gives picture i (N, H, W, 3) the class i."""
    torch.manual_seed(0)
    network = Tiny()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        logits = network(pictures.permute(0, 3, 1, 2))
        nn.functional.cross_entropy(logits, torch.arange(len(pictures))).backward()
        optimizer.step()
    return network.eval()


def main() -> None:
    frames = golden.draw(SPEC.preprocess.height, SPEC.preprocess.width)
    inputs = np.stack([image.fit(frame, SPEC.preprocess) for frame in frames])
    pictures = torch.from_numpy(image.normalize(inputs, SPEC.preprocess))
    network = train(pictures)
    calibrator = Calibrator(network, SPEC)
    calibrator.observe(picture[None] for picture in pictures)
    float_graph, int8_graph = ChannelsLast(network).eval(), calibrator.convert()
    example = example_input(SPEC)
    models = {
        "fp32.tflite": to_tflite(float_graph, example),
        "int8.tflite": to_tflite(int8_graph, example),
        "fp32.onnx": to_onnx(float_graph, example, int8=False),
        "int8.onnx": to_onnx(int8_graph, example, int8=True),
    }
    tensors, outputs = {}, {}
    for variant in EXPORTED:
        path = DESTINATION.with_name(f"{variant}.tmp")
        path.write_bytes(models[variant])
        session = runtime.backend_for(variant).open(path)
        path.unlink()
        tensors[variant] = session.inputs, session.outputs
        rows = [
            session.run([image.as_tensor(pixels, SPEC.preprocess, tensors[variant][0][0])])[0]
            for pixels in inputs
        ]
        outputs[variant] = np.concatenate(rows)
        print(variant, len(models[variant]), outputs[variant].tolist())
    bundle.write(
        DESTINATION,
        name="tiny",
        target="pc",
        spec=SPEC,
        models=models,
        tensors=tensors,
        golden=Golden(frames, inputs, outputs),
        calibration=Calibration("drawn", len(inputs), 0, "minmax", ()),
        drift=None,
        versions={package: version(package) for package in PACKAGES},
        command="python scripts/make_golden.py",
    )


if __name__ == "__main__":
    main()
