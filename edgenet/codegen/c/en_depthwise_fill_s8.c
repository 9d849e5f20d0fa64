#include "en_depthwise_s8.h"

#if EN_DSP
#include "en_dsp.h"

/* Four channels of pairs of columns: a word of each column, transposed by halves into four lines,
 * width bytes apart. */
void en_depthwise_fill_dsp(const int8_t *from, int32_t channels, int8_t *line, int32_t width,
                           int32_t pairs);

__asm__(
    ".syntax unified\n"
    ".thumb\n"
    ".section .text.en_depthwise_fill_dsp,\"ax\",%progbits\n"
    ".p2align 2\n"
    ".global en_depthwise_fill_dsp\n"
    ".type en_depthwise_fill_dsp,%function\n"
    ".thumb_func\n"
    "en_depthwise_fill_dsp:\n"
    "push {r4-r10, lr}\n"
    "ldr r6, [sp, #32]\n"
    "add r5, r2, r3\n"
    "add r4, r5, r3\n"
    "add r3, r4, r3\n"
    "1:\n"
    "ldr r8, [r0, r1]\n"
    "ldr r7, [r0]\n"
    "add r0, r0, r1, lsl #1\n"
    "sxtb16 r9, r7\n"
    "sxtb16 r10, r8\n"
    "sxtb16 r7, r7, ror #8\n"
    "sxtb16 r8, r8, ror #8\n"
    "pkhbt r12, r9, r10, lsl #16\n"
    "pkhbt lr, r7, r8, lsl #16\n"
    "pkhtb r10, r10, r9, asr #16\n"
    "pkhtb r8, r8, r7, asr #16\n"
    "str r12, [r2], #4\n"
    "str lr, [r5], #4\n"
    "str r10, [r4], #4\n"
    "str r8, [r3], #4\n"
    "subs r6, #1\n"
    "bne 1b\n"
    "pop {r4-r10, pc}\n"
    ".size en_depthwise_fill_dsp, . - en_depthwise_fill_dsp\n"
    ".text\n");

/* A code as the int16 that the ring holds. */
static inline void put(int8_t *to, int8_t code)
{
    const int16_t wide = code;
    (void)memcpy(to, &wide, sizeof wide);
}

static void fill_dsp(const en_depthwise *conv, const int8_t *row, int8_t *to)
{
    const int32_t channels = conv->in_channels;
    const int32_t width = 2 * conv->ring_columns;
    const int32_t columns = conv->in_columns;
    const int32_t last = columns - 1;
    const int32_t block = conv->block;
    int32_t channel = 0;
    for (; (channel + 4) <= block; channel += 4) {
        const int8_t *from = &row[channel];
        int8_t *line = &to[channel * width];
        if (last > 0) {
            en_depthwise_fill_dsp(from, channels, line, width, (last + 1) / 2);
        }
        if ((last & 1) == 0) {
            from = &from[last * channels];
            line = &line[2 * last];
            put(line, from[0]);
            put(&line[width], from[1]);
            put(&line[2 * width], from[2]);
            put(&line[3 * width], from[3]);
        }
    }
    for (; channel < block; channel++) {
        const int8_t *from = &row[channel];
        int8_t *line = &to[channel * width];
        for (int32_t x = 0; x < columns; x++) {
            put(line, from[0]);
            from = &from[channels];
            line = &line[2];
        }
    }
}
#endif

void en_depthwise_fill_s8(const en_depthwise *conv, const int8_t *row, int8_t *to)
{
    const int32_t channels = conv->in_channels;
#if EN_DSP
    if (conv->fast != 0) {
        fill_dsp(conv, row, &to[2 * conv->pad_left]);
        return;
    }
#endif
    const int32_t width = conv->ring_columns;
    const int32_t columns = conv->in_columns;
    int32_t channel = 0;
    to = &to[conv->pad_left];
    for (; (channel + 4) <= conv->block; channel += 4) {
        int8_t *first = &to[channel * width];
        int8_t *second = &first[width];
        int8_t *third = &second[width];
        int8_t *fourth = &third[width];
        const int8_t *from = &row[channel];
        for (int32_t x = 0; x < columns; x++) {
            first[x] = from[0];
            second[x] = from[1];
            third[x] = from[2];
            fourth[x] = from[3];
            from = &from[channels];
        }
    }
    for (; channel < conv->block; channel++) {
        for (int32_t x = 0; x < columns; x++) {
            to[(channel * width) + x] = row[(x * channels) + channel];
        }
    }
}
