#include "en_add_mve_s8.h"

#if EN_MVE

/* Four codes a turn, 23 instructions.
 *
 *   r0 r1 r2  inputs and output;  r3 to r6 offsets and multipliers;  r7 r8 r9 of the output
 *   q3 lift;  q4 q5 least and largest codes;  q6 q7 shifts of the inputs
 *
 * A negative product that is shifted to the right is one less before VRSHL, which rounds halves up:
 * so halves go away from zero.  The sign of product AND shift tells. */
__asm__(
    ".syntax unified\n"
    ".thumb\n"
    ".macro en_add_mve_scaled codes, offset, multiplier, left\n"
    "vmlas.s32 \\codes, q3, \\offset\n"
    "vqrdmulh.s32 \\codes, \\codes, \\multiplier\n"
    "vand q2, \\codes, \\left\n"
    "vshr.s32 q2, q2, #31\n"
    "vadd.i32 \\codes, \\codes, q2\n"
    "vrshl.s32 \\codes, \\codes, \\left\n"
    ".endm\n"
    ".section .text.en_add_mve_s8,\"ax\",%progbits\n"
    ".p2align 2\n"
    ".global en_add_mve_s8\n"
    ".type en_add_mve_s8,%function\n"
    ".thumb_func\n"
    "en_add_mve_s8:\n"
    "push {r4-r11, lr}\n"
    "sub sp, #4\n"
    "vpush {d8-d15}\n"
    "mov r12, r0\n"
    "mov r0, r1\n"
    "mov r1, r2\n"
    "mov r2, r3\n"
    "ldrd r11, r3, [r12]\n"
    "vdup.32 q3, r3\n"
    "ldrd r3, r5, [r12, #8]\n"
    "ldrd r4, r6, [r12, #16]\n"
    "ldrd r7, r8, [r12, #24]\n"
    "vdup.32 q6, r7\n"
    "vdup.32 q7, r8\n"
    "ldrd r7, r8, [r12, #32]\n"
    "ldrd r9, r10, [r12, #40]\n"
    "ldr r12, [r12, #48]\n"
    "vdup.32 q4, r10\n"
    "vdup.32 q5, r12\n"
    "wlstp.32 lr, r11, 2f\n"
    "1:\n"
    "vldrb.s32 q0, [r0], #4\n"
    "vldrb.s32 q1, [r1], #4\n"
    "en_add_mve_scaled q0, r3, r4, q6\n"
    "en_add_mve_scaled q1, r5, r6, q7\n"
    "vadd.i32 q0, q0, q1\n"
    "vqrdmulh.s32 q0, q0, r7\n"
    "vshr.s32 q1, q0, #31\n"
    "vadd.i32 q0, q0, q1\n"
    "vrshl.s32 q0, r8\n"
    "vadd.i32 q0, q0, r9\n"
    "vmax.s32 q0, q0, q4\n"
    "vmin.s32 q0, q0, q5\n"
    "vstrb.32 q0, [r2], #4\n"
    "letp lr, 1b\n"
    "2:\n"
    "vpop {d8-d15}\n"
    "add sp, #4\n"
    "pop {r4-r11, pc}\n"
    ".size en_add_mve_s8, . - en_add_mve_s8\n"
    ".purgem en_add_mve_scaled\n"
    ".text\n");

/* what the assembly takes for granted */
typedef char en_add_mve_holds[((offsetof(en_add_mve, offset) == 8) &&
                               (offsetof(en_add_mve, out_multiplier) == 32) &&
                               (offsetof(en_add_mve, range) == 40))
                                  ? 1
                                  : -1];
#endif
