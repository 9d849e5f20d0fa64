"""What generated C is held against: TensorFlow Lite Micro with CMSIS-NN, measured once, and limits.

TFLM 90b983c2b, CMSIS-NN 4ab83cc3 with their official flags, arm-none-eabi-gcc 12.2.1, QEMU 7.2, the
same counting; SRAM is arena_used_bytes + .data + .bss, flash .text + .rodata + the model.
"""

from __future__ import annotations

from typing import NamedTuple


class Baseline(NamedTuple):
    """TFLM + CMSIS-NN on a network of the same shape: instructions, and bytes."""

    instructions: int
    sram: int
    flash: int


class Limit(NamedTuple):
    """The most that is allowed; None where the number is only told."""

    instructions: int | None = None
    sram: int | None = None
    flash: int | None = None


TFLM_CMSIS_NN = {
    # the same files as ours: edgenet's chain wrote both
    ("mobilenet_v1_025_96", "cortex-m4"): Baseline(24_557_490, 104_980, 459_456),
    ("mobilenet_v1_025_96", "cortex-m7"): Baseline(24_460_395, 104_980, 457_728),
    ("mobilenet_v1_025_96", "cortex-m55"): Baseline(6_917_604, 105_044, 446_208),
    # MLPerf Tiny's vww_96, the same network, since ours was not run there
    ("mobilenet_v1_025_96", "cortex-m3"): Baseline(31_959_141, 101_428, 430_592),
    ("mobilenet_v1_cifar_100_32", "cortex-m3"): Baseline(145_886_996, 233_268, 3_661_872),
    ("mobilenet_v1_cifar_100_32", "cortex-m4"): Baseline(96_653_301, 233_268, 3_676_400),
    ("mobilenet_v1_cifar_100_32", "cortex-m7"): Baseline(95_238_488, 233_268, 3_674_672),
    ("mobilenet_v1_cifar_100_32", "cortex-m55"): Baseline(15_672_003, 233_364, 3_663_152),
    # the published models, of which ours have the shapes
    ("resnet8", "cortex-m3"): Baseline(41_847_886, 55_700, 195_792),
    ("resnet8", "cortex-m4"): Baseline(29_863_743, 55_716, 210_320),
    ("resnet8", "cortex-m7"): Baseline(30_026_465, 55_716, 208_592),
    ("resnet8", "cortex-m55"): Baseline(4_912_165, 55_748, 197_072),
    ("ds_cnn", "cortex-m4"): Baseline(7_698_404, 23_540, 165_760),
    ("ds_cnn", "cortex-m7"): Baseline(7_644_191, 23_540, 164_032),
    ("ds_cnn", "cortex-m55"): Baseline(1_814_228, 28_068, 152_512),
    ("person_detect", "cortex-m4"): Baseline(22_928_475, 83_028, 412_400),
    ("person_detect", "cortex-m7"): Baseline(22_715_914, 83_028, 410_672),
    ("person_detect", "cortex-m55"): Baseline(6_508_115, 83_076, 399_152),
}

# a network's --sram-budget, where the table has a row with one
BUDGETS = {"mobilenet_v1_025_96": 30_000, "mobilenet_v1_100_224": 230_000}

_SMALL = {"sram": 41_800, "flash": 250_000}
_CIFAR = {"sram": 80_000, "flash": 3_420_000}
LIMITS = {
    ("mobilenet_v1_025_96", "cortex-m3"): Limit(26_000_000, **_SMALL),
    ("mobilenet_v1_025_96", "cortex-m4"): Limit(9_500_000, **_SMALL),
    ("mobilenet_v1_025_96", "cortex-m7"): Limit(9_500_000, **_SMALL),
    ("mobilenet_v1_025_96", "cortex-m55"): Limit(3_600_000, **_SMALL),
    ("mobilenet_v1_cifar_100_32", "cortex-m4"): Limit(48_000_000, **_CIFAR),
    ("mobilenet_v1_cifar_100_32", "cortex-m55"): Limit(12_000_000, **_CIFAR),
    ("mobilenet_v1_100_224", "cortex-m7"): Limit(sram=860_000),
    ("resnet8", "cortex-m4"): Limit(14_000_000, 55_000),
    ("resnet8", "cortex-m55"): Limit(4_200_000, 55_000),
}


def limit(network: str, core: str, *, budget: int | None) -> Limit:
    """What is allowed; with a budget the budget itself, and any number of instructions."""
    if budget is None:
        return LIMITS.get((network, core), Limit())
    return Limit(sram=budget, flash=LIMITS.get((network, core), Limit()).flash)
