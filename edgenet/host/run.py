"""The folder of a training run: the checkpoint, and what it takes to go on after a kill.

``training/`` inside it holds the settings (``run.json``), the logs, and, while the run lasts, the
state that it is resumed from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import torch

from edgenet.errors import CheckpointError, UsageError
from edgenet.files import write_atomic
from edgenet.host import checkpoint
from edgenet.host.settings import Settings


@dataclass
class Run:
    """The folder of a run."""

    folder: Path
    private: Path = field(init=False)
    settings: Path = field(init=False)
    resume: Path = field(init=False)

    def __post_init__(self) -> None:
        self.private = self.folder / "training"
        self.settings = self.private / "run.json"
        self.resume = self.private / "resume.ckpt"

    @property
    def finished(self) -> bool:
        return (self.folder / checkpoint.RECORD).is_file()

    def check(self) -> None:
        """Refuses a folder that something else lives in.

        Raises:
            UsageError: something is there already.
        """
        if self.settings.is_file() and not self.finished:
            raise UsageError(
                f"{self.folder} holds an unfinished run; continue it with --resume, "
                "or choose another folder"
            )
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise UsageError(f"{self.folder} is not empty; choose another folder")

    def begin(self, settings: Settings) -> None:
        """Claims the folder: from here on the run can be resumed.

        Raises:
            UsageError: the disk refuses.
        """
        try:
            self.private.mkdir(parents=True, exist_ok=True)
            content = msgspec.json.format(msgspec.json.encode(settings), indent=2)
            write_atomic(self.settings, content)
        except OSError as error:
            raise UsageError(f"cannot write to {self.folder}: {error.strerror}") from error

    def recall(self) -> Settings:
        """The settings of the run that is to go on.

        Raises:
            UsageError: there is no run, or it is finished.
            CheckpointError: its settings cannot be read.
        """
        if self.finished:
            raise UsageError(f"{self.folder} is finished; there is nothing to resume")
        if not self.settings.is_file():
            raise UsageError(f"{self.folder} holds no run to resume; start one without --resume")
        try:
            return msgspec.json.decode(self.settings.read_bytes(), type=Settings)
        except (OSError, msgspec.DecodeError) as error:
            raise CheckpointError(f"{self.settings} is malformed: {error}") from error

    def state(self) -> Path | None:
        """Lightning's state, if the run got that far and the file holds nothing but data.

        Raises:
            CheckpointError: the file is damaged, or holds what plain weights do not.
        """
        if not self.resume.is_file():
            return None
        try:
            torch.load(self.resume, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged pickle may raise anything
            raise CheckpointError(
                f"{self.resume} cannot be read safely; delete it to start the run anew"
            ) from error
        return self.resume
