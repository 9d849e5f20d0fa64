"""What a network costs, as a record for JSON and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from edgenet.cost import PARTS, Configuration, Cost, blocks
from edgenet.report.text import table


def record(configuration: Configuration) -> dict[str, Any]:
    """The layers, sums and shares of one network, and its standard-convolution twin's sums.

    Sizes are bytes; shares and reductions are fractions of 1.
    """
    own, twin = configuration.cost(), configuration.cost(standard=True)
    return {
        "model": asdict(configuration),
        "layers": [
            {
                "name": layer.layer.name,
                "kind": layer.layer.kind,
                "output": layer.output,
                "parameters": layer.parameters,
                "multiply_adds": layer.multiply_adds,
                "activation_bytes": layer.activation_bytes,
            }
            for layer in own.layers
        ],
        "total": _sums(own) | {"weights": own.weights, "state": own.state},
        "peak_layer": own.peak.layer.name,
        "share": {part: _shares(own.of(part), own) for part in PARTS},
        "twin": _sums(twin) | {"weights": twin.weights, "state": twin.state},
        "of_twin": _shares(own, twin),
        "blocks": [asdict(block) | {"ratio": block.ratio} for block in blocks(own)],
    }


def grid_record(
    configuration: Configuration, alphas: Sequence[float], imgszs: Sequence[int]
) -> dict[str, Any]:
    """One row of sums for each width multiplier and input side (pixels); empty means as it is."""
    sizes = [(side, side) for side in imgszs] or [(configuration.height, configuration.width)]
    rows = []
    for alpha in alphas or [configuration.alpha]:
        for height, width in sizes:
            one = replace(configuration, alpha=alpha, height=height, width=width)
            rows.append({"alpha": alpha, "height": height, "width": width} | _sums(one.cost()))
    return {"model": asdict(configuration), "grid": rows}


def text(found: dict[str, Any]) -> str:
    """What ``record`` found, as tables."""
    model, total, twin = found["model"], found["total"], found["twin"]
    ratios = {block["last"]: block["ratio"] for block in found["blocks"]}
    layers = [
        (
            layer["name"],
            "x".join(map(str, layer["output"])),
            f"{layer['parameters']:,}",
            f"{layer['multiply_adds']:,}",
            _percent(ratios[layer["name"]]) if layer["name"] in ratios else "",
        )
        for layer in found["layers"]
    ]
    layers.append(("total", "", f"{total['parameters']:,}", f"{total['multiply_adds']:,}", ""))
    head = ("layer", "output", "parameters", "multiply-adds", "of a standard convolution")
    shares = [
        (part, _percent(share["parameters"]), _percent(share["multiply_adds"]))
        for part, share in found["share"].items()
    ]
    pair = [
        (name, f"{sums['parameters']:,}", f"{sums['multiply_adds']:,}")
        for name, sums in (("this network", total), ("standard convolutions", twin))
    ]
    of_twin = found["of_twin"]
    pair.append(("reduced to", _percent(of_twin["parameters"]), _percent(of_twin["multiply_adds"])))
    columns = ("parameters", "multiply-adds")
    title = f"{model['arch']}, alpha {model['alpha']:g}, {model['height']}x{model['width']} pixels"
    peak = _size(total["peak_activation_bytes"])
    return "\n\n".join(
        (
            f"{title}, {model['classes']} classes, depth multiplier {model['depth_multiplier']}",
            table(head, layers),
            table(("share", *columns), shares),
            table(("against its twin", *columns), pair),
            f"int8 weights and biases: {_size(total['int8_bytes'])}\n"
            f"peak of int8 activations: {peak}, while {found['peak_layer']} runs",
        )
    )


def grid_text(found: dict[str, Any]) -> str:
    """What ``grid_record`` found, as one table."""
    model = found["model"]
    head = ("alpha", "input", "parameters", "multiply-adds", "int8 bytes", "peak activation bytes")
    rows = [
        (
            f"{row['alpha']:g}",
            f"{row['height']}x{row['width']}",
            f"{row['parameters']:,}",
            f"{row['multiply_adds']:,}",
            f"{row['int8_bytes']:,}",
            f"{row['peak_activation_bytes']:,}",
        )
        for row in found["grid"]
    ]
    return (
        f"{model['arch']}, {model['classes']} classes, depth multiplier "
        f"{model['depth_multiplier']}\n\n{table(head, rows)}"
    )


def _sums(cost: Cost) -> dict[str, int]:
    return {
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "int8_bytes": cost.int8_bytes,
        "peak_activation_bytes": cost.peak.activation_bytes,
    }


def _shares(part: Cost, whole: Cost) -> dict[str, float]:
    return {
        "parameters": part.parameters / whole.parameters,
        "multiply_adds": part.multiply_adds / whole.multiply_adds,
    }


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _size(count: int) -> str:
    return f"{count:,} bytes ({count / 1024:,.0f} KiB)"
