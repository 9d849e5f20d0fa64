"""Where a training run happens, and Lightning's trainer for it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from edgenet.errors import UsageError
from edgenet.host.callbacks import Best, Resumable
from edgenet.host.run import Run
from edgenet.host.settings import Settings


@dataclass(frozen=True)
class Machine:
    """Where a run happens; it may go on on another.

    Attributes:
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        devices: per node; 0 takes one.
        nodes: how many machines.
        logger: what the curves are written as.
        cache: a folder for decoded pictures, mapped instead of held in memory.
    """

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1
    nodes: int = 1
    logger: Literal["tensorboard", "csv", "none"] = "csv"
    cache: Path | None = None


def trainer_for(settings: Settings, machine: Machine, run: Run) -> lightning.Trainer:
    """Lightning's trainer for a run on a machine.

    Raises:
        UsageError: the machine lacks the device, or quantization-aware training is to have several.
    """
    if settings.recipe.qat and machine.devices * machine.nodes > 1:
        raise UsageError("--qat trains on one device; drop --devices and --num-nodes")
    callbacks: list[lightning.Callback] = [Resumable(run.resume)]
    if settings.patience is not None:
        callbacks += [
            Best(),
            EarlyStopping("val_top1", patience=settings.patience, mode="max", check_finite=False),
        ]
    try:
        return lightning.Trainer(
            accelerator=machine.accelerator,
            devices=machine.devices,
            num_nodes=machine.nodes,
            strategy="ddp" if machine.devices * machine.nodes > 1 else "auto",
            precision=settings.precision,
            max_epochs=settings.recipe.epochs,
            check_val_every_n_epoch=settings.recipe.validate_every,
            gradient_clip_val=settings.recipe.clip_norm or None,
            num_sanity_val_steps=0,
            callbacks=callbacks,
            logger=_logger(machine.logger, run.private),
            log_every_n_steps=10**9,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            benchmark=True,
            default_root_dir=run.private,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise UsageError(f"cannot train on this device: {error}") from error


def device_name(device: torch.device) -> str:
    """What a device calls itself; of a CPU, how many threads compute too."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def _logger(name: str, folder: Path) -> Logger | bool:
    if name == "tensorboard":
        return TensorBoardLogger(folder, name="logs")
    if name == "csv":
        return CSVLogger(folder, name="logs", flush_logs_every_n_steps=1)
    return False
