#include "en_dot_mve.h"

#if EN_MVE

void en_dot_mve_one(const en_dot_mve *dot, const int8_t *rows, int8_t *out);
void en_dot_mve_two(const en_dot_mve *dot, const int8_t *rows, int8_t *out);
void en_dot_mve_three(const en_dot_mve *dot, const int8_t *rows, int8_t *out);

/* Four channels a turn, as channels 0 and 2, then 1 and 3, since VMOV fills every other lane:
 *
 *   r0 r2 r4     sums of channel 0 or 1, of each pixel (VMLADAVA wants even registers)
 *   r6 r8 r10    sums of channel 2 or 3
 *   r1 r3 r5     rows; once both halves are summed up zero point, output's step, relu
 *   r7 r9 r11    quads, weights, output;  r12 channels left;  lr the loop
 *   q0 to q2     codes;  q3 q4 weights;  q5 to q7 the four sums of each pixel
 *
 * The first products are not added to anything: the bias is, by vector. */
__asm__(
    ".syntax unified\n"
    ".thumb\n"

    ".macro en_dot_mve_products accumulate, pixels\n"
    "vldrb.8 q3, [r9], #16\n"
    "vldrb.8 q0, [r1], #16\n"
    "vmladav\\accumulate\\().s8 r0, q0, q3\n"
    "vldrb.8 q4, [r9], #16\n"
    "vmladav\\accumulate\\().s8 r6, q0, q4\n"
    ".if \\pixels > 1\n"
    "vldrb.8 q1, [r3], #16\n"
    "vmladav\\accumulate\\().s8 r2, q1, q3\n"
    "vmladav\\accumulate\\().s8 r8, q1, q4\n"
    ".endif\n"
    ".if \\pixels > 2\n"
    "vldrb.8 q2, [r5], #16\n"
    "vmladav\\accumulate\\().s8 r4, q2, q3\n"
    "vmladav\\accumulate\\().s8 r10, q2, q4\n"
    ".endif\n"
    ".endm\n"

    ".macro en_dot_mve_lanes high, low, pixels\n"
    "vmov q5[\\high], q5[\\low], r0, r6\n"
    ".if \\pixels > 1\n"
    "vmov q6[\\high], q6[\\low], r2, r8\n"
    ".endif\n"
    ".if \\pixels > 2\n"
    "vmov q7[\\high], q7[\\low], r4, r10\n"
    ".endif\n"
    ".endm\n"

    ".macro en_dot_mve_half high, low, pixels\n"
    "ldrd r1, r3, [sp, #32]\n"
    ".if \\pixels > 2\n"
    "ldr r5, [sp, #40]\n"
    ".endif\n"
    "ldr lr, [sp, #44]\n"
    "en_dot_mve_products \"\", \\pixels\n"
    "wls lr, lr, 3f\n"
    "2:\n"
    "en_dot_mve_products a, \\pixels\n"
    "le lr, 2b\n"
    "3:\n"
    "en_dot_mve_lanes \\high, \\low, \\pixels\n"
    ".endm\n"

    ".macro en_dot_mve_each instruction, rest, pixels\n"
    "\\instruction q5, q5, \\rest\n"
    ".if \\pixels > 1\n"
    "\\instruction q6, q6, \\rest\n"
    ".endif\n"
    ".if \\pixels > 2\n"
    "\\instruction q7, q7, \\rest\n"
    ".endif\n"
    ".endm\n"

    ".macro en_dot_mve_away sums, t\n"
    "vshr.s32 \\t, \\sums, #31\n"
    "vadd.i32 \\sums, \\sums, \\t\n"
    ".endm\n"

    /* sums to codes, and back to 1 while channels are left */
    ".macro en_dot_mve_codes t, u, pixels\n"
    "vldrw.32 \\t, [r7], #16\n"
    "en_dot_mve_each vadd.i32, \\t, \\pixels\n"
    "vldrw.32 \\t, [r7], #16\n"
    "vldrb.s32 \\u, [r7], #4\n"
    "en_dot_mve_each vqrdmulh.s32, \\t, \\pixels\n"
    "cbnz r5, 4f\n"
    "en_dot_mve_away q5, \\t\n"
    ".if \\pixels > 1\n"
    "en_dot_mve_away q6, \\t\n"
    ".endif\n"
    ".if \\pixels > 2\n"
    "en_dot_mve_away q7, \\t\n"
    ".endif\n"
    "4:\n"
    "en_dot_mve_each vrshl.s32, \\u, \\pixels\n"
    "vldrw.32 \\t, [sp]\n"
    "en_dot_mve_each vadd.i32, r1, \\pixels\n"
    "vldrw.32 \\u, [sp, #16]\n"
    "en_dot_mve_each vmax.s32, \\t, \\pixels\n"
    "en_dot_mve_each vmin.s32, \\u, \\pixels\n"
    "mov r0, r11\n"
    "add r2, r0, r3\n"
    "add r4, r2, r3\n"
    "add r11, #4\n"
    "subs r12, #4\n"
    "bmi 5f\n"
    "vstrb.32 q5, [r0]\n"
    ".if \\pixels > 1\n"
    "vstrb.32 q6, [r2]\n"
    ".endif\n"
    ".if \\pixels > 2\n"
    "vstrb.32 q7, [r4]\n"
    ".endif\n"
    "bne 1b\n"
    "b 6f\n"
    "5:\n"
    "add r12, #4\n"
    "vctp.32 r12\n"
    "vpst\n"
    "vstrbt.32 q5, [r0]\n"
    ".if \\pixels > 1\n"
    "vpst\n"
    "vstrbt.32 q6, [r2]\n"
    ".endif\n"
    ".if \\pixels > 2\n"
    "vpst\n"
    "vstrbt.32 q7, [r4]\n"
    ".endif\n"
    "6:\n"
    ".endm\n"

    /* stack: 0 least codes, 16 largest codes, 32 rows, 44 blocks of terms but the first,
     * 48 zero point, output's step, relu */
    ".macro en_dot_mve_enter name\n"
    ".section .text.\\name,\"ax\",%progbits\n"
    ".p2align 2\n"
    ".global \\name\n"
    ".type \\name,%function\n"
    ".thumb_func\n"
    "\\name:\n"
    "push {r4-r11, lr}\n"
    "sub sp, #4\n"
    "vpush {d8-d15}\n"
    "sub sp, #64\n"
    "mov r11, r2\n"
    "ldrd r9, r7, [r0]\n"
    "ldr r4, [r0, #12]\n"
    "ldrd r12, r8, [r0, #16]\n"
    "ldrd r5, r6, [r0, #24]\n"
    "vdup.32 q0, r5\n"
    "vdup.32 q1, r6\n"
    "ldr r5, [r0, #32]\n"
    "vstrw.32 q0, [sp]\n"
    "vstrw.32 q1, [sp, #16]\n"
    ".endm\n"
    ".macro en_dot_mve_leave name\n"
    "add sp, #64\n"
    "vpop {d8-d15}\n"
    "add sp, #4\n"
    "pop {r4-r11, pc}\n"
    ".size \\name, . - \\name\n"
    ".endm\n");

__asm__(
    ".macro en_dot_mve_function name, pixels\n"
    "en_dot_mve_enter \\name\n"
    "add r2, r1, r4\n"
    "add r3, r2, r4\n"
    "lsr r4, r4, #4\n"
    "sub r4, #1\n"
    "strd r1, r2, [sp, #32]\n"
    "strd r3, r4, [sp, #40]\n"
    "strd r8, r12, [sp, #48]\n"
    "str r5, [sp, #56]\n"
    "1:\n"
    "en_dot_mve_half 2, 0, \\pixels\n"
    "en_dot_mve_half 3, 1, \\pixels\n"
    "ldrd r1, r3, [sp, #48]\n"
    "ldr r5, [sp, #56]\n"
    "en_dot_mve_codes q0, q1, \\pixels\n"
    "en_dot_mve_leave \\name\n"
    ".endm\n"
    "en_dot_mve_function en_dot_mve_one, 1\n"
    "en_dot_mve_function en_dot_mve_two, 2\n"
    "en_dot_mve_function en_dot_mve_three, 3\n"

    /* the pixels stay in q0 to q2 for all channels */
    ".macro en_dot_short_half high, low\n"
    "vldrb.8 q3, [r9], #16\n"
    "vmladav.s8 r0, q0, q3\n"
    "vmladav.s8 r2, q1, q3\n"
    "vldrb.8 q4, [r9], #16\n"
    "vmladav.s8 r4, q2, q3\n"
    "vmladav.s8 r6, q0, q4\n"
    "vmladav.s8 r8, q1, q4\n"
    "vmladav.s8 r10, q2, q4\n"
    "en_dot_mve_lanes \\high, \\low, 3\n"
    ".endm\n"
    /* stack as above, but from 32: rows, output, groups, from group to group in rows, in the output,
     * depth, weights, quads */
    "en_dot_mve_enter en_dot_short_mve_s8\n"
    "ldr r4, [r0, #8]\n"
    "strd r1, r2, [sp, #32]\n"
    "strd r9, r7, [sp, #56]\n"
    "str r4, [sp, #52]\n"
    "add r4, r4, r4, lsl #1\n"
    "add r6, r12, r12, lsl #1\n"
    "cmp r3, #0\n"
    "ittt lt\n"
    "neglt r3, r3\n"
    "neglt r4, r4\n"
    "neglt r6, r6\n"
    "strd r3, r4, [sp, #40]\n"
    "str r6, [sp, #48]\n"
    "mov r1, r8\n"
    "mov r3, r12\n"
    "7:\n"
    "ldrd r0, r11, [sp, #32]\n"
    "ldr r4, [sp, #52]\n"
    "ldrd r9, r7, [sp, #56]\n"
    "vctp.8 r4\n"
    "add r2, r0, r4\n"
    "add r6, r2, r4\n"
    "mov r12, r3\n"
    "vpsttt\n"
    "vldrbt.8 q0, [r0]\n"
    "vldrbt.8 q1, [r2]\n"
    "vldrbt.8 q2, [r6]\n"
    "1:\n"
    "en_dot_short_half 2, 0\n"
    "en_dot_short_half 3, 1\n"
    "en_dot_mve_codes q3, q4, 3\n"
    "ldrd r0, r2, [sp, #32]\n"
    "ldrd r4, r6, [sp, #40]\n"
    "ldr r8, [sp, #48]\n"
    "add r0, r6\n"
    "add r2, r8\n"
    "subs r4, #1\n"
    "strd r0, r2, [sp, #32]\n"
    "str r4, [sp, #40]\n"
    "bne 7b\n"
    "en_dot_mve_leave en_dot_short_mve_s8\n"

    ".purgem en_dot_mve_products\n"
    ".purgem en_dot_mve_lanes\n"
    ".purgem en_dot_mve_half\n"
    ".purgem en_dot_mve_each\n"
    ".purgem en_dot_mve_away\n"
    ".purgem en_dot_mve_codes\n"
    ".purgem en_dot_mve_enter\n"
    ".purgem en_dot_mve_leave\n"
    ".purgem en_dot_mve_function\n"
    ".purgem en_dot_short_half\n"
    ".text\n");

/* what the assembly takes for granted */
typedef char en_dot_mve_holds[((offsetof(en_dot_mve, terms) == 12) &&
                               (offsetof(en_dot_mve, range) == 20) &&
                               (offsetof(en_dot_mve, relu) == 32) && (sizeof(en_quad) == 36))
                                  ? 1
                                  : -1];

void en_dot_mve_s8(const en_dot_mve *dot, int32_t pixels, const int8_t *rows, int8_t *out)
{
    if (pixels == 3) {
        en_dot_mve_three(dot, rows, out);
    } else if (pixels == 2) {
        en_dot_mve_two(dot, rows, out);
    } else {
        en_dot_mve_one(dot, rows, out);
    }
}
#endif
