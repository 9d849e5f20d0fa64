"""Which remedies are wished for; needs no torch, so that a mistyped name is refused at once."""

from __future__ import annotations

from dataclasses import dataclass

from edgenet.errors import UsageError, unknown
from edgenet.report.remedy import MAX_DRIFT, REMEDIES

AUTO = "auto"
NONE = "none"
LAYERS = "layers"
HELD_BACK = 2000


@dataclass(frozen=True)
class Wish:
    """What is to be done against drift.

    Attributes:
        names: remedies, or ``("auto",)``: one after the other, each kept if it helps, until
            ``max_drift`` is met.
        max_drift: points of top-1 that int8 may lose, with 95 % confidence; None demands nothing
            of named remedies, and ``MAX_DRIFT`` of ``auto``.
        pictures: to measure on, at most.
        qat_epochs: of quantization-aware training; 0 leaves it out of ``auto``.
        data: what training takes, as ``open_dataset`` does; needed for ``qat``.
        iterations: of rounding, for each layer.
        whole: whether no layer may stay float: what computes in int8 alone would refuse it.

    Raises:
        UsageError: a remedy is unknown or does not go with another, or a number makes no sense.
    """

    names: tuple[str, ...]
    max_drift: float | None = None
    pictures: int = HELD_BACK
    qat_epochs: int = 0
    data: str = ""
    iterations: int = 500
    whole: bool = False

    def __post_init__(self) -> None:
        for name in self.names:
            if name in (AUTO, NONE) and len(self.names) > 1:
                raise UsageError(f"--remedy {name} stands alone; give it, or the names of remedies")
            if name not in (AUTO, *REMEDIES):
                raise UsageError(unknown("remedy", name, [AUTO, NONE, *REMEDIES]))
        if self.whole and LAYERS in self.names:
            raise UsageError(
                f"the remedy {LAYERS} keeps the worst layers float, and what is to be made computes"
                " in int8 or int16x8 alone; leave it out"
            )
        if self.max_drift is not None and not 0 <= self.max_drift <= 100:
            raise UsageError(f"{self.max_drift} points of drift; from 0 to 100 make sense")
        if "qat" in self.names and self.qat_epochs < 1:
            raise UsageError("the remedy qat trains; say how long with --qat-epochs N")

    @property
    def auto(self) -> bool:
        """Whether each remedy has to help."""
        return self.names == (AUTO,)

    @property
    def limit(self) -> float | None:
        """Points of top-1 that may be lost, if anything is demanded."""
        return MAX_DRIFT if self.auto and self.max_drift is None else self.max_drift

    @property
    def ladder(self) -> list[str]:
        """The remedies, in the order in which they are tried."""
        if not self.auto:
            return [name for name in REMEDIES if name in self.names]
        left_out = {LAYERS} if self.whole else set()
        left_out |= set() if self.qat_epochs else {"qat"}
        return [name for name in REMEDIES if name not in left_out]
