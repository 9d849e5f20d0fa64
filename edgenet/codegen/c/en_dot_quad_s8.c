#include "en_dot.h"

#include "en_requantize.h"

#if EN_DSP

/* Four pixels by two channels: eight sums in r4 to r11, and no register left, so that what is
 * needed once a pair lies on the stack.  A word of weights is loaded twice, for its even and its odd
 * bytes: cheaper than a register to keep it in.  26 instructions for 32 multiplications, or 22 where
 * the weights have been unpacked before (en_dot_unpack_s8).
 *
 * Rounding: ASRS leaves the last bit that it shifts out in the carry, and ADC adds that bit, halves
 * up, with the zero point.  Where the least code is the zero point (relu), halves away from zero
 * need no care: negative numbers end at the least code anyhow; zero point -128 is SBC of 127. */
void en_dot_quad_dsp(const int8_t *quad, const int8_t *weight, const en_pair *pairs, int8_t *out,
                     const en_dot *dot, int32_t relu);
void en_dot_quad_unpacked_dsp(const int8_t *quad, const int8_t *weight, const en_pair *pairs,
                              int8_t *out, const en_dot *dot, int32_t relu);

__asm__(
    ".syntax unified\n"
    ".thumb\n"

    ".macro en_dot_half unpack, turn, step\n"
    ".if \\unpack\n"
    "ldrd r12, lr, [r1]\\step\n"
    "sxtb16 r12, r12\\turn\n"
    "sxtb16 lr, lr\\turn\n"
    ".else\n"
    "ldrd r12, lr, [r1], #8\n"
    ".endif\n"
    "ldrd r2, r3, [r0], #8\n"
    "smlad r4, r12, r2, r4\n"
    "smlad r8, lr, r2, r8\n"
    "smlad r5, r12, r3, r5\n"
    "smlad r9, lr, r3, r9\n"
    "ldrd r2, r3, [r0], #8\n"
    "smlad r6, r12, r2, r6\n"
    "smlad r10, lr, r2, r10\n"
    "smlad r7, r12, r3, r7\n"
    "smlad r11, lr, r3, r11\n"
    ".endm\n"
    ".macro en_dot_four unpack\n"
    "en_dot_half \\unpack, \"\", \"\"\n"
    "en_dot_half \\unpack, \", ror #8\", \", #8\"\n"
    ".endm\n"

    /* sum, multiplier, right */
    ".macro en_dot_relu sum, by, right\n"
    "smmulr \\sum, \\sum, \\by\n"
    "asrs \\sum, \\sum, \\right\n"
    "sbc \\sum, \\sum, #127\n"
    "ssat \\sum, #8, \\sum\n"
    ".endm\n"
    /* the same with any zero point and range, which r0 points to */
    ".macro en_dot_any sum, by, right\n"
    "smmulr \\sum, \\sum, \\by\n"
    "add \\sum, \\sum, \\sum, asr #31\n"
    "ldr r1, [r0]\n"
    "asrs \\sum, \\sum, \\right\n"
    "adc \\sum, \\sum, r1\n"
    "ldr r1, [r0, #4]\n"
    "cmp \\sum, r1\n"
    "it lt\n"
    "movlt \\sum, r1\n"
    "ldr r1, [r0, #8]\n"
    "cmp \\sum, r1\n"
    "it gt\n"
    "movgt \\sum, r1\n"
    ".endm\n"

    ".macro en_dot_store\n"
    "bfi r4, r8, #8, #8\n"
    "bfi r5, r9, #8, #8\n"
    "bfi r6, r10, #8, #8\n"
    "bfi r7, r11, #8, #8\n"
    "add r0, r2, #2\n"
    "str r0, [sp, #8]\n"
    "strh r4, [r2]\n"
    "strh r5, [r2, r3]\n"
    "add r2, r2, r3, lsl #1\n"
    "strh r6, [r2]\n"
    "strh r7, [r2, r3]\n"
    ".endm\n"

    /* stack: 0 quad, 4 pair, 8 out, 12 channels, 16 pairs left, 20 end in the quad of blocks of
     * sixteen terms, 24 end of the quad, 28 weights while r1 is needed, 36 relu, 40 range */
    ".macro en_dot_function name, unpack\n"
    ".section .text.\\name,\"ax\",%progbits\n"
    ".p2align 2\n"
    ".global \\name\n"
    ".type \\name,%function\n"
    ".thumb_func\n"
    "\\name:\n"
    "push {r4-r11, lr}\n"
    "sub sp, #44\n"
    "strd r0, r2, [sp]\n"
    "str r3, [sp, #8]\n"
    "ldrd r4, r5, [sp, #80]\n"
    "ldr r6, [r4, #16]\n"
    "add r7, r6, #1\n"
    "lsr r7, r7, #1\n"
    "strd r6, r7, [sp, #12]\n"
    "ldr r6, [r4, #12]\n"
    "lsl r7, r6, #3\n"
    "bic r6, r7, #127\n"
    "add r6, r6, r0\n"
    "add r7, r7, r0\n"
    "strd r6, r7, [sp, #20]\n"
    "str r5, [sp, #36]\n"
    "add r4, r4, #20\n"
    "str r4, [sp, #40]\n"

    "1:\n"
    "ldrd r0, r2, [sp]\n"
    "ldr r3, [sp, #20]\n"
    "ldrd r4, r8, [r2]\n"
    "lsl r4, r4, #1\n"
    "lsl r8, r8, #1\n"
    "mov r5, r4\n"
    "mov r6, r4\n"
    "mov r7, r4\n"
    "mov r9, r8\n"
    "mov r10, r8\n"
    "mov r11, r8\n"
    "cmp r0, r3\n"
    "beq 3f\n"
    "2:\n"
    "en_dot_four \\unpack\n"
    "en_dot_four \\unpack\n"
    "en_dot_four \\unpack\n"
    "en_dot_four \\unpack\n"
    "ldr r2, [sp, #20]\n"
    "cmp r0, r2\n"
    "bne 2b\n"
    "3:\n"
    "ldr r2, [sp, #24]\n"
    "cmp r0, r2\n"
    "beq 5f\n"
    "4:\n"
    "en_dot_four \\unpack\n"
    "ldr r2, [sp, #24]\n"
    "cmp r0, r2\n"
    "bne 4b\n"

    "5:\n"
    "ldr r2, [sp, #4]\n"
    "ldrd r12, lr, [r2, #8]\n"
    "ldr r3, [r2, #16]\n"
    "add r2, r2, #20\n"
    "str r2, [sp, #4]\n"
    "lsr r2, r3, #16\n"
    "ldr r0, [sp, #36]\n"
    "cbz r0, 6f\n"
    "en_dot_relu r4, r12, r3\n"
    "en_dot_relu r5, r12, r3\n"
    "en_dot_relu r6, r12, r3\n"
    "en_dot_relu r7, r12, r3\n"
    "en_dot_relu r8, lr, r2\n"
    "en_dot_relu r9, lr, r2\n"
    "en_dot_relu r10, lr, r2\n"
    "en_dot_relu r11, lr, r2\n"
    "b 7f\n"
    "6:\n"
    "str r1, [sp, #28]\n"
    "ldr r0, [sp, #40]\n"
    "en_dot_any r4, r12, r3\n"
    "en_dot_any r5, r12, r3\n"
    "en_dot_any r6, r12, r3\n"
    "en_dot_any r7, r12, r3\n"
    "en_dot_any r8, lr, r2\n"
    "en_dot_any r9, lr, r2\n"
    "en_dot_any r10, lr, r2\n"
    "en_dot_any r11, lr, r2\n"
    "ldr r1, [sp, #28]\n"

    "7:\n"
    "ldrd r2, r3, [sp, #8]\n"
    "ldr r12, [sp, #16]\n"
    "subs r12, #1\n"
    "str r12, [sp, #16]\n"
    "beq 8f\n"
    "en_dot_store\n"
    "b 1b\n"
    "8:\n"
    "tst r3, #1\n"
    "beq 9f\n"
    /* an odd number of channels: the last one alone */
    "strb r4, [r2]\n"
    "strb r5, [r2, r3]\n"
    "add r2, r2, r3, lsl #1\n"
    "strb r6, [r2]\n"
    "strb r7, [r2, r3]\n"
    "b 0f\n"
    "9:\n"
    "en_dot_store\n"
    "0:\n"
    "add sp, #44\n"
    "pop {r4-r11, pc}\n"
    ".size \\name, . - \\name\n"
    ".endm\n"
    "en_dot_function en_dot_quad_dsp, 1\n"
    "en_dot_function en_dot_quad_unpacked_dsp, 0\n"
    ".purgem en_dot_function\n"
    ".purgem en_dot_half\n"
    ".purgem en_dot_four\n"
    ".purgem en_dot_relu\n"
    ".purgem en_dot_any\n"
    ".purgem en_dot_store\n"
    ".text\n");

/* what the assembly takes for granted */
typedef char en_dot_offsets_hold[((offsetof(en_dot, terms) == 12) &&
                                  (offsetof(en_dot, channels) == 16) &&
                                  (offsetof(en_dot, range) == 20) && (sizeof(en_pair) == 20))
                                     ? 1
                                     : -1];

#endif

/* Four codes of one channel. */
static inline void store(const en_dot *dot, const int32_t *sums, const en_pair *pair, int32_t half,
                         int8_t *EN_RESTRICT out)
{
    const int32_t channels = dot->channels;
    const int32_t bias = pair->bias[half];
    const en_scale scale = en_scale_of(pair, half, dot->range);
    out[0] = en_scaled(sums[0] + bias, &scale);
    out[channels] = en_scaled(sums[1] + bias, &scale);
    out[2 * channels] = en_scaled(sums[2] + bias, &scale);
    out[3 * channels] = en_scaled(sums[3] + bias, &scale);
}

void en_dot_quad_s8(const en_dot *dot, const int8_t *unpacked, const int8_t *EN_RESTRICT quad,
                    int8_t *EN_RESTRICT out)
{
    const int8_t *weight = dot->weight;
    const en_pair *pair = dot->pairs;
#if EN_DSP
    if (dot->fast != 0) {
        const int32_t relu = (dot->range.zero_point == -128) && (dot->range.low == -128) &&
                             (dot->range.high == 127);
        if (unpacked != NULL) {
            en_dot_quad_unpacked_dsp(quad, unpacked, pair, out, dot, relu);
        } else {
            en_dot_quad_dsp(quad, weight, pair, out, dot, relu);
        }
        return;
    }
#else
    (void)unpacked;
#endif
    for (int32_t channel = 0; channel < dot->channels; channel += 2) {
        int32_t first[4] = {0, 0, 0, 0};
        int32_t second[4] = {0, 0, 0, 0};
        const int8_t *a = quad;
        const int8_t *end = &quad[4 * dot->terms];
        while (a != end) {
            for (int32_t term = 0; term < 4; term++) {
                const int32_t w0 = weight[term];
                const int32_t w1 = weight[term + 4];
                first[0] += w0 * a[term];
                second[0] += w1 * a[term];
                first[1] += w0 * a[term + 4];
                second[1] += w1 * a[term + 4];
                first[2] += w0 * a[term + 8];
                second[2] += w1 * a[term + 8];
                first[3] += w0 * a[term + 12];
                second[3] += w1 * a[term + 12];
            }
            a = &a[16];
            weight = &weight[8];
        }
        store(dot, first, pair, 0, &out[channel]);
        if ((channel + 1) < dot->channels) {
            store(dot, second, pair, 1, &out[channel + 1]);
        }
        pair = &pair[1];
    }
}
