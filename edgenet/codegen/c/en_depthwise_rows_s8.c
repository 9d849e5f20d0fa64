#include "en_depthwise_s8.h"

#include "en_requantize.h"

#if EN_DSP
#include "en_dsp.h"

/* What the assembly below works on; it moves the pointers from channel to channel.
 *
 * Kernel 3x3, two columns of the output at a time.  With w0 w1 of a kernel row in one register and
 * w1 w2 in another, six registers hold a channel's weights.  Stride 1, from words x0 x1, x2 x3:
 *
 *   column 0: w0 x0 + w1 x1 (SMLAD), w2 x2 (SMLATB)
 *   column 1: w0 x1 (SMLABT),        w1 x2 + w2 x3 (SMLAD)
 *
 * Stride 2 does the first of the two, from x0 x1, x2 x3 and from x2 x3, x4 x5.  See en_dsp.h for the
 * rounding. */
typedef struct {
    const int8_t *rows[3];
    int8_t *out;
    int32_t bias;
    en_factors factors;
    int32_t step;             /* bytes from one column of the output to the next */
    int8_t *row_end;          /* of the columns of this row that are computed in pairs */
    en_range range;
    const int8_t *weight;
    const int8_t *pair;       /* the channel's bias */
    int32_t pair_step;        /* to the next bias: 4, 16, 4, ... */
    int32_t right_offset;     /* of right from the bias: 16, 14, 16, ... */
    int32_t channels;         /* left */
    int32_t relu;
    int32_t again;            /* rows advance by the depth multiplier only every so many channels */
    int32_t depth_multiplier;
    int32_t left;             /* rows of the channel */
    int8_t *end;              /* as row_end, of the first row */
    int32_t count;            /* rows of the output */
    int32_t row_delta;        /* bytes in the ring from the end of a row to the next one */
    int32_t gap;              /* bytes in the output from where pairs end to the next row */
    int32_t out_row;          /* bytes of a row of the output */
    int32_t odd;              /* one more column is left */
    int32_t row_step;         /* bytes from one channel of the ring to the next */
} en_depthwise_line;

void en_depthwise_one_dsp(en_depthwise_line line);
void en_depthwise_two_dsp(en_depthwise_line line);

__asm__(
    ".syntax unified\n"
    ".thumb\n"

    /* where the line has what, on the stack behind nine registers */
    ".equ at_rows, 36\n"
    ".equ at_out, 48\n"
    ".equ at_bias, 52\n"
    ".equ at_factors, 56\n"
    ".equ at_step, 64\n"
    ".equ at_row_end, 68\n"
    ".equ at_zero, 72\n"
    ".equ at_low, 76\n"
    ".equ at_weight, 84\n"
    ".equ at_pair, 88\n"
    ".equ at_pair_step, 92\n"
    ".equ at_channels, 100\n"
    ".equ at_relu, 104\n"
    ".equ at_again, 108\n"
    ".equ at_multiplier, 112\n"
    ".equ at_left, 116\n"
    ".equ at_end, 120\n"
    ".equ at_count, 124\n"
    ".equ at_row_delta, 128\n"
    ".equ at_out_row, 136\n"
    ".equ at_odd, 140\n"
    ".equ at_row_step, 144\n"

    /* registers: r0, r2, r3 rows, r4 output, r5 to r10 weights, r11 and r1 sums, r12 and lr the
     * rest */
    ".macro dw_taps stride, rows, first, second, from=r11\n"
    "ldrd r12, lr, [\\rows], #4 * \\stride\n"
    "smlad r11, \\first, r12, \\from\n"
    ".if \\stride == 1\n"
    "smlabt r1, \\first, r12, r1\n"
    "smlatb r11, \\second, lr, r11\n"
    "smlad r1, \\second, lr, r1\n"
    ".else\n"
    "ldr r12, [\\rows]\n"
    "smlatb r11, \\second, lr, r11\n"
    "smlad r1, \\first, lr, r1\n"
    "smlatb r1, \\second, r12, r1\n"
    ".endif\n"
    ".endm\n"
    ".macro dw_sums stride\n"
    "ldr r1, [sp, #at_bias]\n"
    "dw_taps \\stride, r0, r5, r6, r1\n"
    "dw_taps \\stride, r2, r7, r8\n"
    "dw_taps \\stride, r3, r9, r10\n"
    "ldrd r12, lr, [sp, #at_factors]\n"
    "smmlar r11, r11, r12, r11\n"
    "smmlar r1, r1, r12, r1\n"
    ".endm\n"
    ".macro dw_single rows, first, second\n"
    "ldrd r12, lr, [\\rows], #4\n"
    "smlad r11, \\first, r12, r11\n"
    "smlatb r11, \\second, lr, r11\n"
    ".endm\n"
    ".macro dw_store top\n"
    "ldrd r12, lr, [sp, #at_step]\n"
    "strb r11, [r4]\n"
    "strb r1, [r4, r12]\n"
    "add r4, r4, r12, lsl #1\n"
    "cmp r4, lr\n"
    "bne \\top\n"
    ".endm\n"
    ".macro dw_clamp sum\n"
    "cmp \\sum, r12\n"
    "it lt\n"
    "movlt \\sum, r12\n"
    "cmp \\sum, lr\n"
    "it gt\n"
    "movgt \\sum, lr\n"
    ".endm\n"

    ".macro dw_function name, stride\n"
    ".section .text.\\name,\"ax\",%progbits\n"
    ".p2align 2\n"
    ".global \\name\n"
    ".type \\name,%function\n"
    ".thumb_func\n"
    "\\name:\n"
    "push {r0-r3}\n"
    "push {r4-r11, lr}\n"

    /* a channel: its parameters and weights, which are nine bytes */
    "1:\n"
    "ldrd r1, r2, [sp, #at_weight]\n"
    "ldrd r3, r4, [sp, #at_pair_step]\n"
    "ldr r5, [r2]\n"
    "ldr r6, [r2, #8]\n"
    "ldrb r7, [r2, r4]\n"
    "mov r8, #1\n"
    "lsl r6, r6, #1\n"
    "ror r7, r8, r7\n"
    "str r5, [sp, #at_bias]\n"
    "strd r6, r7, [sp, #at_factors]\n"
    "add r2, r2, r3\n"
    "eor r3, r3, #20\n"
    "eor r4, r4, #30\n"
    "strd r3, r4, [sp, #at_pair_step]\n"
    "ldr r12, [r1]\n"
    "sxtb16 lr, r12\n"
    "sxtb16 r12, r12, ror #8\n"
    "pkhbt r5, lr, r12, lsl #16\n"
    "pkhtb r6, lr, r12\n"
    "ldr r12, [r1, #3]\n"
    "sxtb16 lr, r12\n"
    "sxtb16 r12, r12, ror #8\n"
    "pkhbt r7, lr, r12, lsl #16\n"
    "pkhtb r8, lr, r12\n"
    "ldr r12, [r1, #5]\n" /* the last three of four bytes, or the load would leave the array */
    "sxtb16 lr, r12\n"
    "sxtb16 r12, r12, ror #8\n"
    "pkhbt r9, r12, lr\n"
    "pkhtb r10, r12, lr, asr #16\n"
    "add r1, r1, #9\n"
    "strd r1, r2, [sp, #at_weight]\n"
    "ldr r0, [sp, #at_count]\n"
    "ldr r1, [sp, #at_end]\n"
    "str r0, [sp, #at_left]\n"
    "str r1, [sp, #at_row_end]\n"
    "ldrd r0, r2, [sp, #at_rows]\n"
    "ldrd r3, r4, [sp, #at_rows + 8]\n"

    /* a row */
    "6:\n"
    "ldr r12, [sp, #at_row_end]\n"
    "cmp r4, r12\n"
    "beq 4f\n"
    "ldr r12, [sp, #at_relu]\n"
    "cmp r12, #0\n"
    "beq 3f\n"
    "2:\n"
    "dw_sums \\stride\n"
    "mvn r12, #127\n"
    "smmlar r11, r11, lr, r12\n"
    "smmlar r1, r1, lr, r12\n"
    "ssat r11, #8, r11\n"
    "ssat r1, #8, r1\n"
    "dw_store 2b\n"
    "b 4f\n"
    "3:\n"
    "dw_sums \\stride\n"
    "ldr r12, [sp, #at_zero]\n"
    "add r11, r11, r11, asr #31\n"
    "add r1, r1, r1, asr #31\n"
    "smmlar r11, r11, lr, r12\n"
    "smmlar r1, r1, lr, r12\n"
    "ldrd r12, lr, [sp, #at_low]\n"
    "dw_clamp r11\n"
    "dw_clamp r1\n"
    "dw_store 3b\n"
    "4:\n"
    "ldr r12, [sp, #at_odd]\n"
    "cmp r12, #0\n"
    "beq 5f\n"
    "ldr r11, [sp, #at_bias]\n"
    "dw_single r0, r5, r6\n"
    "dw_single r2, r7, r8\n"
    "dw_single r3, r9, r10\n"
    "ldrd r12, lr, [sp, #at_factors]\n"
    "smmlar r11, r11, r12, r11\n"
    "ldr r12, [sp, #at_zero]\n"
    "add r11, r11, r11, asr #31\n"
    "smmlar r11, r11, lr, r12\n"
    "ldrd r12, lr, [sp, #at_low]\n"
    "dw_clamp r11\n"
    "strb r11, [r4]\n"
    "5:\n"
    "ldr r12, [sp, #at_left]\n"
    "subs r12, #1\n"
    "beq 7f\n"
    "str r12, [sp, #at_left]\n"
    "ldr r12, [sp, #at_out_row]\n"
    "ldr lr, [sp, #at_row_end]\n"
    "add lr, r12\n"
    "str lr, [sp, #at_row_end]\n"
    "ldrd r12, lr, [sp, #at_row_delta]\n"
    "add r0, r12\n"
    "add r2, r12\n"
    "add r3, r12\n"
    "add r4, lr\n"
    "b 6b\n"

    /* the next channel */
    "7:\n"
    "ldr r0, [sp, #at_again]\n"
    "subs r0, #1\n"
    "bne 8f\n"
    "ldr r1, [sp, #at_row_step]\n"
    "ldrd r2, r3, [sp, #at_rows]\n"
    "ldr r4, [sp, #at_rows + 8]\n"
    "add r2, r1\n"
    "add r3, r1\n"
    "add r4, r1\n"
    "strd r2, r3, [sp, #at_rows]\n"
    "str r4, [sp, #at_rows + 8]\n"
    "ldr r0, [sp, #at_multiplier]\n"
    "8:\n"
    "str r0, [sp, #at_again]\n"
    "ldr r0, [sp, #at_out]\n"
    "ldr r1, [sp, #at_end]\n"
    "ldr r2, [sp, #at_channels]\n"
    "add r0, #1\n"
    "add r1, #1\n"
    "subs r2, #1\n"
    "str r0, [sp, #at_out]\n"
    "str r1, [sp, #at_end]\n"
    "str r2, [sp, #at_channels]\n"
    "bne 1b\n"
    "pop {r4-r11, lr}\n"
    "add sp, #16\n"
    "bx lr\n"
    ".size \\name, . - \\name\n"
    ".endm\n"
    "dw_function en_depthwise_one_dsp, 1\n"
    "dw_function en_depthwise_two_dsp, 2\n"
    ".irp name, taps, sums, single, store, clamp, function\n"
    ".purgem dw_\\name\n"
    ".endr\n"
    ".text\n");

/* what the assembly takes for granted */
typedef char en_depthwise_line_holds[((offsetof(en_depthwise_line, factors) == 20) &&
                                      (offsetof(en_depthwise_line, range) == 36) &&
                                      (offsetof(en_depthwise_line, channels) == 64) &&
                                      (offsetof(en_depthwise_line, end) == 84) &&
                                      (sizeof(en_depthwise_line) == 112))
                                         ? 1
                                         : -1];

static void rows_dsp(const en_depthwise *conv, const int8_t *const *rows, int32_t count, int8_t *out)
{
    const int32_t step = conv->in_channels * conv->depth_multiplier;
    const int32_t odd = conv->out_columns & 1;
    const int32_t words = (conv->column_stride == 1) ? ((conv->out_columns + 1) / 2)
                                                     : conv->out_columns;
    en_depthwise_line line;
    line.rows[0] = rows[0];
    line.rows[1] = rows[1];
    line.rows[2] = rows[2];
    line.out = out;
    line.bias = 0;
    line.factors.first = 0;
    line.factors.second = 0;
    line.step = step;
    line.row_end = NULL;
    line.range = conv->range;
    line.weight = conv->weight;
    line.pair = (const int8_t *)(const void *)conv->pairs;
    line.pair_step = 4;
    line.right_offset = 16;
    line.channels = conv->block * conv->depth_multiplier;
    line.relu = (conv->fast == EN_RELU) ? 1 : 0;
    line.again = conv->depth_multiplier;
    line.depth_multiplier = conv->depth_multiplier;
    line.left = count;
    line.end = &out[(conv->out_columns - odd) * step];
    line.count = count;
    line.row_delta =
        (conv->row_stride * conv->block * conv->ring_columns * 2) - (4 * words);
    line.gap = odd * step;
    line.out_row = conv->out_columns * step;
    line.odd = odd;
    line.row_step = conv->ring_columns * 2;
    if (conv->column_stride == 1) {
        en_depthwise_one_dsp(line);
    } else {
        en_depthwise_two_dsp(line);
    }
}
#endif

#if !EN_DSP
/* A kernel row of four columns of the output, which are stride apart in the input. */
EN_INLINE void four_columns(const int8_t *from, const int8_t *weight, int32_t stride, int32_t *sums)
{
    const int32_t w0 = weight[0];
    const int32_t w1 = weight[1];
    const int32_t w2 = weight[2];
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    s0 += from[0] * w0;
    s0 += from[1] * w1;
    s0 += from[2] * w2;
    s1 += from[stride] * w0;
    s1 += from[stride + 1] * w1;
    s1 += from[stride + 2] * w2;
    s2 += from[2 * stride] * w0;
    s2 += from[(2 * stride) + 1] * w1;
    s2 += from[(2 * stride) + 2] * w2;
    s3 += from[3 * stride] * w0;
    s3 += from[(3 * stride) + 1] * w1;
    s3 += from[(3 * stride) + 2] * w2;
    EN_FINISH(s0, s1, s2, s3);
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* Kernel 3x3: columns of one channel by fours; the last may be computed twice. */
EN_INLINE void three_by_three(const en_depthwise *conv, const int8_t *const *rows,
                              const int8_t *weight, const en_pair *pair, int32_t half, int8_t *out,
                              int32_t start, int32_t stride)
{
    const int32_t step = conv->in_channels * conv->depth_multiplier;
    const int32_t columns = conv->out_columns;
    for (int32_t done = 0; done < columns; done += 4) {
        const int32_t column = en_min(done, columns - 4);
        const int32_t at = start + (column * stride);
        const int32_t bias = pair->bias[half];
        int32_t sums[4] = {bias, bias, bias, bias};
        four_columns(&rows[0][at], weight, stride, sums);
        four_columns(&rows[1][at], &weight[3], stride, sums);
        four_columns(&rows[2][at], &weight[6], stride, sums);
        en_fast_codes(sums[0], sums[1], sums[2], sums[3], pair, half, conv->fast, &conv->range,
                      &out[column * step], step);
    }
}
#endif

static int32_t any(const en_depthwise *conv, const int8_t *const *rows, const int8_t *weight,
                   int32_t start)
{
    int32_t sum = 0;
    for (int32_t y = 0; y < conv->kernel_rows; y++) {
        const int8_t *a = &rows[y][start];
        for (int32_t x = 0; x < conv->kernel_columns; x++) {
            sum += a[x] * weight[x];
        }
        weight = &weight[conv->kernel_columns];
    }
    return sum;
}

/* One channel. */
static void channel_row(const en_depthwise *conv, const int8_t *const *rows, int32_t channel,
                        int8_t *out)
{
    const int32_t step = conv->in_channels * conv->depth_multiplier;
    const int8_t *weight = &conv->weight[channel * conv->kernel_rows * conv->kernel_columns];
    const en_pair *pair = &conv->pairs[channel / 2];
    const int32_t half = channel & 1;
    int32_t start = (channel / conv->depth_multiplier) * conv->ring_columns;
#if !EN_DSP
    if ((conv->fast != EN_SLOW) && (conv->out_columns >= 4)) {
        if (conv->column_stride == 1) {
            three_by_three(conv, rows, weight, pair, half, out, start, 1);
        } else {
            three_by_three(conv, rows, weight, pair, half, out, start, 2);
        }
        return;
    }
#endif
    for (int32_t column = 0; column < conv->out_columns; column++) {
        const int32_t sum = pair->bias[half] + any(conv, rows, weight, start);
        out[column * step] = en_code(sum, pair->multiplier[half], pair->right[half], conv->range);
        start += conv->column_stride;
    }
}

void en_depthwise_rows_s8(const en_depthwise *conv, const int8_t *const *rows, int32_t count,
                          int8_t *out)
{
#if EN_DSP
    if (conv->fast != 0) {
        rows_dsp(conv, rows, count, out);
        return;
    }
#endif
    (void)count; /* one, but for the DSP flavour */
    for (int32_t channel = 0; channel < (conv->block * conv->depth_multiplier); channel++) {
        channel_row(conv, rows, channel, &out[channel]);
    }
}
