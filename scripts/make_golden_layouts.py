"""Write tests/golden/layouts.json: the weights' names and the answers of timm's and torchvision's
own networks.

Usage: python scripts/make_golden_layouts.py    (needs timm and torchvision, which edgenet does not)
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "plugins"))

import published  # noqa: E402

SIDE = 65  # odd sides tell paddings apart
TIMM = {
    "mobilenetv1_100": ("mobilenet_v1", 1.0),
    "mobilenetv1_125": ("mobilenet_v1", 1.25),
    "mobilenetv2_035": ("mobilenet_v2", 0.35),
    "mobilenetv2_050": ("mobilenet_v2", 0.5),
    "mobilenetv2_075": ("mobilenet_v2", 0.75),
    "mobilenetv2_100": ("mobilenet_v2", 1.0),
    "mobilenetv2_140": ("mobilenet_v2", 1.4),
    "mobilenetv3_small_050": ("mobilenet_v3_small", 0.5),
    "mobilenetv3_small_075": ("mobilenet_v3_small", 0.75),
    "mobilenetv3_small_100": ("mobilenet_v3_small", 1.0),
    "mobilenetv3_large_075": ("mobilenet_v3_large", 0.75),
    "mobilenetv3_large_100": ("mobilenet_v3_large", 1.0),
    "tf_mobilenetv3_large_075": ("mobilenet_v3_large", 0.75),
    "tf_mobilenetv3_small_minimal_100": ("mobilenet_v3_small_minimalistic", 1.0),
    "tf_mobilenetv3_large_minimal_100": ("mobilenet_v3_large_minimalistic", 1.0),
}
TORCHVISION = {
    "mobilenet_v2": ("mobilenet_v2", 1.0),
    "mobilenet_v3_small": ("mobilenet_v3_small", 1.0),
    "mobilenet_v3_large": ("mobilenet_v3_large", 1.0),
}


def main() -> None:
    import timm
    import torchvision

    made = {
        f"timm {name}": entry(timm.create_model(name), *of, f"timm {version('timm')}")
        for name, of in TIMM.items()
    }
    for name, of in TORCHVISION.items():
        model = getattr(torchvision.models, name)()
        made[f"torchvision {name}"] = entry(model, *of, f"torchvision {version('torchvision')}")
    path = ROOT / "tests" / "golden" / "layouts.json"
    path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def entry(model: torch.nn.Module, arch: str, alpha: float, package: str) -> dict[str, object]:
    """Names, shapes and the answer of a network with the weights of its names."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    weights = published.weights(shapes)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    with torch.inference_mode():
        logits = model.double().eval()(torch.from_numpy(published.picture(SIDE)).double())
    return {
        "arch": arch,
        "alpha": alpha,
        "made_by": package,
        "parameters": sum(p.numel() for p in model.parameters()),
        "side": SIDE,
        "logits": logits[0, :10].tolist(),
        "names": published.packed(shapes),
    }


if __name__ == "__main__":
    main()
