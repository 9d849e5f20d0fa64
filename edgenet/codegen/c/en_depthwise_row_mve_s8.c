#include "en_depthwise_mve_s8.h"

#if EN_MVE

void en_depthwise_mve_11(const en_depthwise_line_mve *line);
void en_depthwise_mve_10(const en_depthwise_line_mve *line);
void en_depthwise_mve_21(const en_depthwise_line_mve *line);
void en_depthwise_mve_20(const en_depthwise_line_mve *line);

/* Eight outputs of a channel a turn.
 *
 *   r0 r2 sums;  r1 patches;  r3 r5 r7 bias, multiplier, shift;  r4 bytes of eight outputs;
 *   r6 gap;  r8 line;  r9 zero point;  r10 weights;  r11 output;  r12 singles;  lr the loop
 *   q0 q1 patches;  q2 q3 sums of even and odd outputs, which narrowing interleaves;  q4 offsets;
 *   q5 q6 least and largest codes;  q7 weights */
__asm__(
    ".syntax unified\n"
    ".thumb\n"

    /* two patches of which the sums go to lanes of one vector */
    ".macro en_depthwise_mve_two to, lane, first, second, step\n"
    "vldrb.8 q0, [r1, #(\\first * \\step)]\n"
    "vmladav.s8 r0, q0, q7\n"
    "vldrb.8 q1, [r1, #(\\second * \\step)]\n"
    "vmladav.s8 r2, q1, q7\n"
    "vmov \\to[\\lane + 2], \\to[\\lane], r0, r2\n"
    ".endm\n"
    ".macro en_depthwise_mve_scale sums, t, relu\n"
    "vadd.i32 \\sums, \\sums, r3\n"
    "vqrdmulh.s32 \\sums, \\sums, r5\n"
    ".if \\relu == 0\n"
    "vshr.s32 \\t, \\sums, #31\n"
    "vadd.i32 \\sums, \\sums, \\t\n"
    ".endif\n"
    "vrshl.s32 \\sums, r7\n"
    ".endm\n"
    ".macro en_depthwise_mve_clamp\n"
    "vqadd.s16 q2, q2, r9\n"
    "vmax.s16 q2, q2, q5\n"
    "vmin.s16 q2, q2, q6\n"
    ".endm\n"
    ".macro en_depthwise_mve_eight step, relu\n"
    "en_depthwise_mve_two q2, 0, 0, 4, \\step\n"
    "en_depthwise_mve_two q3, 0, 1, 5, \\step\n"
    "en_depthwise_mve_two q2, 1, 2, 6, \\step\n"
    "en_depthwise_mve_two q3, 1, 3, 7, \\step\n"
    "en_depthwise_mve_scale q2, q0, \\relu\n"
    "en_depthwise_mve_scale q3, q1, \\relu\n"
    "vqmovnb.s32 q2, q2\n"
    "vqmovnt.s32 q2, q3\n"
    "en_depthwise_mve_clamp\n"
    ".endm\n"

    ".macro en_depthwise_mve_function name, step, relu\n"
    ".section .text.\\name,\"ax\",%progbits\n"
    ".p2align 2\n"
    ".global \\name\n"
    ".type \\name,%function\n"
    ".thumb_func\n"
    "\\name:\n"
    "push {r4-r11, lr}\n"
    "sub sp, #4\n"
    "vpush {d8-d15}\n"
    "mov r8, r0\n"
    "ldrd r1, r11, [r8]\n"
    "ldrd r10, r12, [r8, #8]\n"
    "ldr r6, [r8, #20]\n"
    "ldrd r4, r9, [r8, #36]\n"
    "vldrw.32 q5, [r8, #80]\n"
    "vldrw.32 q6, [r8, #96]\n"
    "vldrw.32 q4, [r8, #112]\n"
    "1:\n"
    "vldrw.32 q0, [r8, #48]\n"
    "vldrb.8 q7, [r10], #12\n"
    "vldrw.32 q1, [r8, #64]\n"
    "vshl.u32 q0, q7, q0\n"
    "vshl.u32 q1, q7, q1\n"
    "vorr q7, q0, q1\n"
    "ldr r3, [r12], #4\n"
    "ldr r5, [r12], #4\n"
    "ldrsb r7, [r12], #1\n"
    "ldr lr, [r8, #28]\n"
    "wls lr, lr, 3f\n"
    "2:\n"
    "en_depthwise_mve_eight \\step, \\relu\n"
    "vstrb.16 q2, [r11, q4]\n"
    "add r1, #(8 * \\step)\n"
    "add r11, r4\n"
    "le lr, 2b\n"
    "3:\n"
    "ldr r0, [r8, #32]\n"
    "cmp r0, #4\n"
    "bhi 6f\n"
    "cbz r0, 5f\n"
    "vctp.32 r0\n"
    "en_depthwise_mve_two q2, 0, 0, 2, \\step\n"
    "en_depthwise_mve_two q2, 1, 1, 3, \\step\n"
    "en_depthwise_mve_scale q2, q0, \\relu\n"
    "vqmovnb.s32 q2, q2\n"
    "vldrw.32 q3, [r8, #128]\n"
    "en_depthwise_mve_clamp\n"
    "vpst\n"
    "vstrbt.32 q2, [r11, q3]\n"
    "5:\n"
    "ldr r0, [r8, #24]\n"
    "add r1, r6\n"
    "add r11, r0\n"
    "ldr r0, [r8, #16]\n"
    "cmp r12, r0\n"
    "bne 1b\n"
    "vpop {d8-d15}\n"
    "add sp, #4\n"
    "pop {r4-r11, pc}\n"
    "6:\n"
    "vctp.16 r0\n"
    "en_depthwise_mve_eight \\step, \\relu\n"
    "vpst\n"
    "vstrbt.16 q2, [r11, q4]\n"
    "b 5b\n"
    ".size \\name, . - \\name\n"
    ".endm\n"
    "en_depthwise_mve_function en_depthwise_mve_11, 4, 1\n"
    "en_depthwise_mve_function en_depthwise_mve_10, 4, 0\n"
    "en_depthwise_mve_function en_depthwise_mve_21, 8, 1\n"
    "en_depthwise_mve_function en_depthwise_mve_20, 8, 0\n"
    ".purgem en_depthwise_mve_two\n"
    ".purgem en_depthwise_mve_scale\n"
    ".purgem en_depthwise_mve_clamp\n"
    ".purgem en_depthwise_mve_eight\n"
    ".purgem en_depthwise_mve_function\n"
    ".text\n");

/* what the assembly takes for granted */
typedef char en_depthwise_line_mve_holds[((sizeof(en_single) == 9) &&
                                          (offsetof(en_depthwise_line_mve, gap) == 20) &&
                                          (offsetof(en_depthwise_line_mve, up) == 48) &&
                                          (offsetof(en_depthwise_line_mve, far_offsets) == 128))
                                             ? 1
                                             : -1];

void en_depthwise_row_mve_s8(const en_depthwise_line_mve *line, int32_t column_stride)
{
    if (column_stride == 1) {
        if (line->relu != 0) {
            en_depthwise_mve_11(line);
        } else {
            en_depthwise_mve_10(line);
        }
    } else if (line->relu != 0) {
        en_depthwise_mve_21(line);
    } else {
        en_depthwise_mve_20(line);
    }
}
#endif
