#include "en_mean_mve_s8.h"

#if EN_MVE

/* Four channels a turn; rounded as en_add_mve_s8.c does. */
__asm__(
    ".syntax unified\n"
    ".thumb\n"
    ".section .text.en_mean_mve_s8,\"ax\",%progbits\n"
    ".p2align 2\n"
    ".global en_mean_mve_s8\n"
    ".type en_mean_mve_s8,%function\n"
    ".thumb_func\n"
    "en_mean_mve_s8:\n"
    "push {r4-r10, lr}\n"
    "ldrd r3, r4, [r0]\n"
    "ldrd r5, r6, [r0, #8]\n"
    "ldrd r7, r8, [r0, #16]\n"
    "ldrd r9, r10, [r0, #24]\n"
    "vdup.32 q2, r9\n"
    "vdup.32 q3, r10\n"
    "wlstp.32 lr, r4, 3f\n"
    "1:\n"
    "mov r0, r1\n"
    "mov r9, r3\n"
    "vdup.32 q0, r5\n"
    "2:\n"
    "vldrb.s32 q1, [r0]\n"
    "add r0, r4\n"
    "vadd.i32 q0, q0, q1\n"
    "subs r9, #1\n"
    "bne 2b\n"
    "vqrdmulh.s32 q0, q0, r6\n"
    "vshr.s32 q1, q0, #31\n"
    "vadd.i32 q0, q0, q1\n"
    "vrshl.s32 q0, r7\n"
    "vadd.i32 q0, q0, r8\n"
    "vmax.s32 q0, q0, q2\n"
    "vmin.s32 q0, q0, q3\n"
    "add r1, #4\n"
    "vstrb.32 q0, [r2], #4\n"
    "letp lr, 1b\n"
    "3:\n"
    "pop {r4-r10, pc}\n"
    ".size en_mean_mve_s8, . - en_mean_mve_s8\n"
    ".text\n");

/* what the assembly takes for granted */
typedef char en_mean_mve_holds[((offsetof(en_mean_mve, left) == 16) &&
                                (offsetof(en_mean_mve, range) == 20))
                                   ? 1
                                   : -1];
#endif
