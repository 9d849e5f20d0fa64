"""Starting from what another run learned, and keeping part of it as it is."""

from __future__ import annotations

from pathlib import Path

from edgenet.errors import CheckpointError, UsageError
from edgenet.host import checkpoint
from edgenet.host.models import Network
from edgenet.spec import ModelSpec

HEAD = "classifier."


def start_from(model: Network, spec: ModelSpec, folder: Path) -> list[str]:
    """Loads a checkpoint's weights into ``model``; the head too if the classes are the same.

    Args:
        model: the network of ``spec``.
        spec: what is to be trained.
        folder: the checkpoint.

    Returns:
        What was done, in sentences.

    Raises:
        CheckpointError: it cannot be read, or is of another network.
    """
    record, weights = checkpoint.load(folder)
    for name in ("arch", "alpha", "depth_multiplier", "padding"):
        theirs, ours = getattr(record.spec, name), getattr(spec, name)
        if theirs != ours:
            raise CheckpointError(
                f"{folder} has {name} {theirs}, asked for is {ours}; "
                f"leave the option away to take the checkpoint's"
            )
    said = [f"starting from {folder} ({record.spec.arch} {record.spec.alpha:g})"]
    if record.spec.labels != spec.labels:
        said.append(
            f"its head knows {len(record.spec.labels)} other classes: "
            f"a new one is trained for {len(spec.labels)}"
        )
        fresh = model.state_dict()
        weights = {k: fresh[k] if k.startswith(HEAD) else v for k, v in weights.items()}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"{folder} does not hold the weights of its own network") from error
    theirs, ours = record.spec.preprocess, spec.preprocess
    if (theirs.mean, theirs.std) != (ours.mean, ours.std):
        said.append(f"its input had mean {theirs.mean} and std {theirs.std}, which is not kept")
    return said


def freeze(model: Network, part: str) -> str:
    """Keeps the weights of the stem and of some blocks as they are, batch norms too.

    Args:
        model: the network.
        part: ``features`` for all but the classifier, or a number of blocks after the stem.

    Returns:
        What was done, in a sentence.

    Raises:
        UsageError: the network has no such part.
    """
    found = list(model.blocks.children())
    count = len(found)
    if part == "features":
        frozen = [m for name, m in model.named_children() if not HEAD.startswith(name)]
        words = "all but the classifier"
    elif part.isdecimal() and int(part) <= count:
        frozen = [model.stem, *found[: int(part)]]
        words = f"stem and {part} of {count} blocks"
    else:
        raise UsageError(f"freeze is {part!r}; give 'features' or 0 to {count} blocks")
    for module in frozen:
        module.requires_grad_(False)
    learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    return f"frozen: {words}; {learning:,} of {total:,} weights learn"
