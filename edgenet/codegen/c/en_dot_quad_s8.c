#include "en_dot.h"

#include "en_requantize.h"

#if EN_DSP
#include "en_dsp.h"

/* Four pixels by two channels: eight sums in r4 to r11, and no register left.  Weights are one
 * stream with biases and factors (en_dot_unpack_s8), 22 instructions for 32 multiplications; or,
 * with pairs, they are unpacked on the way, 26 instructions: a word is loaded twice, for its even
 * and its odd bytes, which is cheaper than a register to keep it in.
 *
 * The first four terms start from the biases; the others are a loop of four times four terms, of
 * which the first round leaves some out, or all where skipped is negative.  Arguments stay on the
 * stack, where every load reaches them. */
void en_dot_quad_dsp(const int8_t *quad, const int8_t *weight, int8_t *out, int32_t step,
                     const int8_t *out_end, const int8_t *quad_end, int32_t skipped, int32_t fast,
                     const en_pair *pairs, en_range range);

__asm__(
    ".syntax unified\n"
    ".thumb\n"

    /* weights of even or odd terms to r12 and lr */
    ".macro en_dot_load packed, odd\n"
    ".if \\packed == 0\n"
    "ldrd r12, lr, [r1], #8\n"
    ".elseif \\odd == 0\n"
    "ldrd r12, lr, [r1]\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    ".else\n"
    "ldrd r12, lr, [r1], #8\n"
    "sxtb16 r12, r12, ror #8\n"
    "sxtb16 lr, lr, ror #8\n"
    ".endif\n"
    ".endm\n"
    ".macro en_dot_first packed\n"
    "en_dot_load \\packed, 0\n"
    "ldrd r2, r3, [r0, #8]\n"
    "smlad r6, r12, r2, r4\n"
    "smlad r10, lr, r2, r8\n"
    "smlad r7, r12, r3, r4\n"
    "smlad r11, lr, r3, r8\n"
    "ldrd r2, r3, [r0], #16\n"
    "smlad r5, r12, r3, r4\n"
    "smlad r9, lr, r3, r8\n"
    "smlad r4, r12, r2, r4\n"
    "smlad r8, lr, r2, r8\n"
    ".endm\n"
    ".macro en_dot_half packed, odd\n"
    "en_dot_load \\packed, \\odd\n"
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
    ".macro en_dot_sums packed, loop, end\n"
    "en_dot_first \\packed\n"
    "en_dot_half \\packed, 1\n"
    "ldr pc, [sp, #60]\n"
    "\\loop:\n"
    ".rept 4\n"
    "en_dot_half \\packed, 0\n"
    "en_dot_half \\packed, 1\n"
    ".endr\n"
    "ldr r2, [sp, #56]\n"
    "cmp r0, r2\n"
    "bne \\loop\\()b\n"
    "\\end:\n"
    ".endm\n"

    /* stack: 0 quad, 4 where sums begin, 8 out, 12 step, 52 end of the first pixel, 56 end of the
     * quad, 60 where the loop begins, 64 fast, 68 pair, 72 zero point, 76 low, 80 high */
    ".section .text.en_dot_quad_dsp,\"ax\",%progbits\n"
    ".p2align 2\n"
    ".global en_dot_quad_dsp\n"
    ".type en_dot_quad_dsp,%function\n"
    ".thumb_func\n"
    "en_dot_quad_dsp:\n"
    "push {r0-r11, lr}\n"
    "ldr r4, [sp, #60]\n"
    "ldr r5, [sp, #68]\n"
    "cbz r5, 1f\n"
    "adr r6, 11f\n"
    "adr r7, 12f\n"
    "adr r2, 13f\n"
    "mov r3, #104\n"
    "b 2f\n"
    "1:\n"
    "adr r6, 21f\n"
    "adr r7, 22f\n"
    "adr r2, 23f\n"
    "mov r3, #88\n"
    "2:\n"
    "mla r7, r4, r3, r7\n"
    "cmp r4, #0\n"
    "it lt\n"
    "movlt r7, r2\n"
    "orr r6, r6, #1\n"
    "orr r7, r7, #1\n"
    "str r6, [sp, #4]\n"
    "str r7, [sp, #60]\n"
    "bx r6\n"

    "11:\n"
    "ldr r2, [sp, #68]\n"
    "ldr r0, [sp]\n"
    "ldrd r4, r8, [r2]\n"
    "en_dot_sums 1, 12, 13\n"
    "ldr r0, [sp, #68]\n"
    "ldrd r12, lr, [r0, #8]\n"
    "ldr r3, [r0, #16]\n"
    "add r0, #20\n"
    "str r0, [sp, #68]\n"
    "lsl r12, r12, #1\n"
    "lsl lr, lr, #1\n"
    "mov r0, #1\n"
    "ror r2, r0, r3\n" /* 1 turned right by so many bits is 2^(32 - right) */
    "lsr r3, r3, #16\n"
    "ror r3, r0, r3\n"
    "b 3f\n"

    "21:\n"
    "ldr r0, [sp]\n"
    "ldrd r4, r8, [r1], #8\n"
    "en_dot_sums 0, 22, 23\n"
    "ldrd r12, lr, [r1], #8\n"
    "ldrd r2, r3, [r1], #8\n"

    "3:\n"
    ".irp sum, r4, r5, r6, r7\n"
    "smmlar \\sum, \\sum, r12, \\sum\n"
    ".endr\n"
    ".irp sum, r8, r9, r10, r11\n"
    "smmlar \\sum, \\sum, lr, \\sum\n"
    ".endr\n"
    "ldr r0, [sp, #64]\n"
    "ldr r12, [sp, #72]\n"
    "cmp r0, #2\n" /* EN_FULL */
    "blt 4f\n"
    ".irp sum, r4, r5, r6, r7, r8, r9, r10, r11\n"
    "add \\sum, \\sum, \\sum, asr #31\n"
    ".endr\n"
    "4:\n"
    ".irp sum, r4, r5, r6, r7\n"
    "smmlar \\sum, \\sum, r2, r12\n"
    ".endr\n"
    ".irp sum, r8, r9, r10, r11\n"
    "smmlar \\sum, \\sum, r3, r12\n"
    ".endr\n"
    "cmp r0, #2\n"
    "bgt 8f\n"
    ".irp sum, r4, r5, r6, r7, r8, r9, r10, r11\n"
    "ssat \\sum, #8, \\sum\n"
    ".endr\n"
    "5:\n"
    "bfi r4, r8, #8, #8\n"
    "bfi r5, r9, #8, #8\n"
    "bfi r6, r10, #8, #8\n"
    "bfi r7, r11, #8, #8\n"
    "ldrd r2, r3, [sp, #8]\n"
    "ldr lr, [sp, #52]\n"
    "add r0, r2, #2\n"
    "str r0, [sp, #8]\n"
    "cmp r0, lr\n"
    "bhi 6f\n"
    "strh r4, [r2]\n"
    "strh r5, [r2, r3]\n"
    "add r2, r2, r3, lsl #1\n"
    "strh r6, [r2]\n"
    "strh r7, [r2, r3]\n"
    "beq 7f\n"
    "ldr pc, [sp, #4]\n"
    "6:\n" /* an odd number of channels: the last one alone */
    "strb r4, [r2]\n"
    "strb r5, [r2, r3]\n"
    "add r2, r2, r3, lsl #1\n"
    "strb r6, [r2]\n"
    "strb r7, [r2, r3]\n"
    "7:\n"
    "add sp, #16\n"
    "pop {r4-r11, pc}\n"
    "8:\n"
    "ldrd r2, r3, [sp, #76]\n"
    ".irp sum, r4, r5, r6, r7, r8, r9, r10, r11\n"
    "cmp \\sum, r2\n"
    "it lt\n"
    "movlt \\sum, r2\n"
    "cmp \\sum, r3\n"
    "it gt\n"
    "movgt \\sum, r3\n"
    ".endr\n"
    "b 5b\n"
    ".size en_dot_quad_dsp, . - en_dot_quad_dsp\n"
    ".purgem en_dot_load\n"
    ".purgem en_dot_first\n"
    ".purgem en_dot_half\n"
    ".purgem en_dot_sums\n"
    ".text\n");

/* what the assembly takes for granted */
typedef char en_dot_offsets_hold[((offsetof(en_pair, multiplier) == 8) &&
                                  (offsetof(en_pair, right) == 16) && (sizeof(en_pair) == 20))
                                     ? 1
                                     : -1];

static void quad_dsp(const en_dot *dot, const int8_t *unpacked, const int8_t *quad, int8_t *out)
{
    const int32_t blocks = (dot->terms / 4) - 1; /* but for the first */
    const int32_t skipped = (blocks > 0) ? ((4 - (blocks & 3)) & 3) : -1;
    en_dot_quad_dsp(quad, (unpacked != NULL) ? unpacked : dot->weight, out, dot->channels,
                    &out[dot->channels], &quad[8 * dot->terms], skipped, dot->fast,
                    (unpacked != NULL) ? NULL : dot->pairs, dot->range);
}
#endif

/* Four codes of one channel. */
EN_INLINE void store(const en_dot *dot, const en_pair *pair, int32_t half, int32_t s0, int32_t s1,
                     int32_t s2, int32_t s3, int8_t *out)
{
    const int32_t channels = dot->channels;
    const int32_t sums[4] = {s0, s1, s2, s3};
#if !EN_DSP
    if (dot->fast != EN_SLOW) {
        en_fast_codes(s0, s1, s2, s3, pair, half, dot->fast, &dot->range, out, channels);
        return;
    }
#endif
    for (int32_t pixel = 0; pixel < 4; pixel++) {
        out[pixel * channels] =
            en_code(sums[pixel], pair->multiplier[half], pair->right[half], dot->range);
    }
}

/* One term of four pixels and two channels; sums in variables of their own stay in registers. */
#define EN_DOT_TERM(term)                                                                          \
    do {                                                                                           \
        const int32_t w0 = weight[term];                                                           \
        const int32_t w1 = weight[(term) + 4];                                                     \
        a0 += w0 * from[term];                                                                     \
        b0 += w1 * from[term];                                                                     \
        a1 += w0 * from[(term) + 4];                                                               \
        b1 += w1 * from[(term) + 4];                                                               \
        a2 += w0 * from[(term) + 8];                                                               \
        b2 += w1 * from[(term) + 8];                                                               \
        a3 += w0 * from[(term) + 12];                                                              \
        b3 += w1 * from[(term) + 12];                                                              \
    } while (0)

void en_dot_quad_s8(const en_dot *dot, const int8_t *unpacked, const int8_t *quad,
                    int8_t *out)
{
    const int8_t *weight = dot->weight;
    const en_pair *pair = dot->pairs;
    const int8_t *end = &quad[4 * dot->terms];
#if EN_DSP
    if (dot->fast != EN_SLOW) {
        quad_dsp(dot, unpacked, quad, out);
        return;
    }
#else
    (void)unpacked;
#endif
    for (int32_t channel = 0; channel < dot->channels; channel += 2) {
        int32_t a0 = pair->bias[0], a1 = a0, a2 = a0, a3 = a0;
        int32_t b0 = pair->bias[1], b1 = b0, b2 = b0, b3 = b0;
        const int8_t *from = quad;
        do {
            EN_DOT_TERM(0);
            EN_DOT_TERM(1);
            EN_DOT_TERM(2);
            EN_DOT_TERM(3);
            from = &from[16];
            weight = &weight[8];
        } while (from != end);
        store(dot, pair, 0, a0, a1, a2, a3, &out[channel]);
        if ((channel + 1) < dot->channels) {
            store(dot, pair, 1, b0, b1, b2, b3, &out[channel + 1]);
        }
        pair = &pair[1];
    }
}
