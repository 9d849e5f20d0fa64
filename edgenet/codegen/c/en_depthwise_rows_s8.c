#include "en_depthwise_s8.h"

#include "en_requantize.h"

#if EN_DSP

/* What the assembly below works on; it moves the pointers from channel to channel.
 *
 * Kernel 3x3, stride 1: two columns at a time from two words of each row, x0 x1 and x2 x3.
 *
 *   column 0: w0 x0 + w1 x1 (SMLAD), w2 x2 (SMLATB)
 *   column 1: w0 x1 (SMLABT),        w1 x2 + w2 x3 (SMLAD)
 *
 * with w0 w1 in one register and w1 w2 in another: six registers hold a channel's weights.  Stride 2
 * needs column 0 only.  See en_dot_quad_s8.c for the rounding. */
typedef struct {
    const int8_t *rows[3];
    int8_t *out;           /* 12 */
    int32_t step;          /* 16: bytes from one column of the output to the next */
    int8_t *end;           /* 20: of the columns that are computed in pairs, or singly for stride 2 */
    int32_t bias;          /* 24: twice what it is, as the codes are */
    int32_t multiplier;    /* 28 */
    int32_t right;         /* 32 */
    int32_t again;         /* 36: rows advance by the depth multiplier only every so many channels */
    int32_t odd;           /* 40: one more column is left */
    int32_t row_step;      /* 44: bytes from one channel of the ring to the next */
    const int8_t *weight;  /* 48 */
    const int8_t *pair;    /* 52: the channel's bias */
    int32_t pair_step;     /* 56: to the next bias: 4, 16, 4, ... */
    int32_t right_offset;  /* 60: of right from the bias: 16, 14, 16, ... */
    int32_t channels;      /* 64: left */
    int32_t relu;          /* 68: the least code is the zero point, -128, the largest 127 */
    en_range range;        /* 72 */
    int32_t depth_multiplier; /* 84 */
    int32_t left;          /* 88: rows of the channel */
    int8_t *row_end;       /* 92: as end, of the row */
    int32_t count;         /* 96: rows of the output */
    int32_t row_delta;     /* 100: bytes in the ring from the end of a row to the next one */
    int32_t gap;           /* 104: bytes in the output from where pairs end to the next row */
    int32_t out_row;       /* 108: bytes of a row of the output */
} en_depthwise_line;

void en_depthwise_one_dsp(en_depthwise_line *line);
void en_depthwise_two_dsp(en_depthwise_line *line);

__asm__(
    ".syntax unified\n"
    ".section .text.en_depthwise_dsp,\"ax\",%progbits\n"
    ".p2align 2\n"
    ".thumb\n"

    /* three weights of a kernel row to w0 w1 and w1 w2 */
    ".macro en_depthwise_weights first, second\n"
    "ldr r12, [r1], #4\n"
    "sxtb16 lr, r12\n"
    "sxtb16 r12, r12, ror #8\n"
    "pkhbt \\first, lr, r12, lsl #16\n"
    "pkhtb \\second, lr, r12\n"
    ".endm\n"

    /* parameters, weights and pointers of a channel; r11 is the line */
    ".macro en_depthwise_channel\n"
    "ldrd r1, r2, [r11, #48]\n"
    "ldrd r3, r4, [r11, #56]\n"
    "ldr r5, [r2]\n"
    "ldr r6, [r2, #8]\n"
    "ldrsh r7, [r2, r4]\n"
    "lsl r5, r5, #1\n"
    "strd r5, r6, [r11, #24]\n"
    "str r7, [r11, #32]\n"
    "add r2, r2, r3\n"
    "eor r3, r3, #20\n"
    "eor r4, r4, #30\n"
    "strd r3, r4, [r11, #56]\n"
    "en_depthwise_weights r5, r6\n"
    "en_depthwise_weights r7, r8\n"
    "en_depthwise_weights r9, r10\n"
    "strd r1, r2, [r11, #48]\n"
    "ldr r0, [r11, #96]\n"
    "ldr r1, [r11, #20]\n"
    "strd r0, r1, [r11, #88]\n"
    "ldrd r0, r2, [r11]\n"
    "ldrd r3, r4, [r11, #8]\n"
    ".endm\n"

    /* the next row of the channel; Z if there is none; scratches r12, lr */
    ".macro en_depthwise_next_row line\n"
    "ldrd r12, lr, [\\line, #88]\n"
    "subs r12, #1\n"
    "beq 8f\n"
    "str r12, [\\line, #88]\n"
    "ldr r12, [\\line, #108]\n"
    "add lr, r12\n"
    "str lr, [\\line, #92]\n"
    "ldrd r12, lr, [\\line, #100]\n"
    "add r0, r12\n"
    "add r2, r12\n"
    "add r3, r12\n"
    "add r4, lr\n"
    "8:\n"
    ".endm\n"

    /* the next channel: rows, output, its end; leaves r11, and Z if there is none */
    ".macro en_depthwise_next\n"
    "ldr r0, [r11, #36]\n"
    "subs r0, #1\n"
    "bne 7f\n"
    "ldr r1, [r11, #44]\n"
    "ldrd r2, r3, [r11]\n"
    "ldr r4, [r11, #8]\n"
    "add r2, r1\n"
    "add r3, r1\n"
    "add r4, r1\n"
    "strd r2, r3, [r11]\n"
    "str r4, [r11, #8]\n"
    "ldr r0, [r11, #84]\n"
    "7:\n"
    "str r0, [r11, #36]\n"
    "ldr r0, [r11, #12]\n"
    "ldr r1, [r11, #20]\n"
    "add r0, #1\n"
    "add r1, #1\n"
    "str r0, [r11, #12]\n"
    "str r1, [r11, #20]\n"
    "ldr r0, [r11, #64]\n"
    "subs r0, #1\n"
    "str r0, [r11, #64]\n"
    ".endm\n"

    /* a code from a sum; multiplier r12, right lr, overwritten unless relu */
    ".macro en_depthwise_relu sum\n"
    "smmulr \\sum, \\sum, r12\n"
    "asrs \\sum, \\sum, lr\n"
    "sbc \\sum, \\sum, #127\n"
    "ssat \\sum, #8, \\sum\n"
    ".endm\n"
    ".macro en_depthwise_any sum, line\n"
    "smmulr \\sum, \\sum, r12\n"
    "add \\sum, \\sum, \\sum, asr #31\n"
    "asrs \\sum, \\sum, lr\n"
    "ldrd r12, lr, [\\line, #72]\n"
    "adc \\sum, \\sum, r12\n"
    "cmp \\sum, lr\n"
    "it lt\n"
    "movlt \\sum, lr\n"
    "ldr lr, [\\line, #80]\n"
    "cmp \\sum, lr\n"
    "it gt\n"
    "movgt \\sum, lr\n"
    ".endm\n"

    ".macro en_depthwise_both rows, first, second\n"
    "ldrd r12, lr, [\\rows], #4\n"
    "smlad r11, \\first, r12, r11\n"
    "smlabt r1, \\first, r12, r1\n"
    "smlatb r11, \\second, lr, r11\n"
    "smlad r1, \\second, lr, r1\n"
    ".endm\n"
    ".macro en_depthwise_single rows, first, second\n"
    "ldrd r12, lr, [\\rows], #4\n"
    "smlad r11, \\first, r12, r11\n"
    "smlatb r11, \\second, lr, r11\n"
    ".endm\n"

    /* registers: r0, r2, r3 rows, r4 output, r5 to r10 weights */
    ".global en_depthwise_one_dsp\n"
    ".type en_depthwise_one_dsp,%function\n"
    ".thumb_func\n"
    "en_depthwise_one_dsp:\n"
    "push {r4-r11, lr}\n"
    "sub sp, #116\n" /* the line, where every load reaches it: 112 bytes */
    "mov r12, sp\n"
    "ldm r0!, {r1-r7}\n"
    "stm r12!, {r1-r7}\n"
    "ldm r0!, {r1-r7}\n"
    "stm r12!, {r1-r7}\n"
    "ldm r0!, {r1-r7}\n"
    "stm r12!, {r1-r7}\n"
    "ldm r0!, {r1-r7}\n"
    "stm r12!, {r1-r7}\n"
    "1:\n"
    "mov r11, sp\n"
    "en_depthwise_channel\n"
    "6:\n"
    "ldr r12, [sp, #92]\n"
    "cmp r4, r12\n"
    "beq 4f\n"
    "ldr r12, [sp, #68]\n"
    "cmp r12, #0\n"
    "beq 3f\n"

    "2:\n"
    "ldr r1, [sp, #24]\n"
    "ldrd r12, lr, [r0], #4\n"
    "smlad r11, r5, r12, r1\n"
    "smlabt r1, r5, r12, r1\n"
    "smlatb r11, r6, lr, r11\n"
    "smlad r1, r6, lr, r1\n"
    "en_depthwise_both r2, r7, r8\n"
    "en_depthwise_both r3, r9, r10\n"
    "ldrd r12, lr, [sp, #28]\n"
    "en_depthwise_relu r11\n"
    "en_depthwise_relu r1\n"
    "ldr r12, [sp, #16]\n"
    "ldr lr, [sp, #92]\n"
    "strb r11, [r4]\n"
    "strb r1, [r4, r12]\n"
    "add r4, r4, r12, lsl #1\n"
    "cmp r4, lr\n"
    "bne 2b\n"
    "b 4f\n"

    "3:\n"
    "ldr r1, [sp, #24]\n"
    "mov r11, r1\n"
    "en_depthwise_both r0, r5, r6\n"
    "en_depthwise_both r2, r7, r8\n"
    "en_depthwise_both r3, r9, r10\n"
    "ldrd r12, lr, [sp, #28]\n"
    "en_depthwise_any r11, sp\n"
    "ldrd r12, lr, [sp, #28]\n"
    "en_depthwise_any r1, sp\n"
    "ldr r12, [sp, #16]\n"
    "ldr lr, [sp, #92]\n"
    "strb r11, [r4]\n"
    "strb r1, [r4, r12]\n"
    "add r4, r4, r12, lsl #1\n"
    "cmp r4, lr\n"
    "bne 3b\n"

    "4:\n"
    "ldr r12, [sp, #40]\n"
    "cmp r12, #0\n"
    "beq 5f\n"
    "ldr r11, [sp, #24]\n"
    "en_depthwise_single r0, r5, r6\n"
    "en_depthwise_single r2, r7, r8\n"
    "en_depthwise_single r3, r9, r10\n"
    "ldrd r12, lr, [sp, #28]\n"
    "en_depthwise_any r11, sp\n"
    "strb r11, [r4]\n"
    "5:\n"
    "en_depthwise_next_row sp\n"
    "bne 6b\n"
    "mov r11, sp\n"
    "en_depthwise_next\n"
    "bne 1b\n"
    "add sp, #116\n"
    "pop {r4-r11, pc}\n"
    ".size en_depthwise_one_dsp, . - en_depthwise_one_dsp\n"

    ".global en_depthwise_two_dsp\n"
    ".type en_depthwise_two_dsp,%function\n"
    ".thumb_func\n"
    "en_depthwise_two_dsp:\n"
    "push {r4-r11, lr}\n"
    "sub sp, #4\n"
    "mov r11, r0\n"
    "1:\n"
    "en_depthwise_channel\n"
    "mov r1, r11\n"
    "6:\n"
    "ldr r12, [r1, #68]\n"
    "cmp r12, #0\n"
    "beq 3f\n"
    "2:\n"
    "ldr r11, [r1, #24]\n"
    "en_depthwise_single r0, r5, r6\n"
    "en_depthwise_single r2, r7, r8\n"
    "en_depthwise_single r3, r9, r10\n"
    "ldrd r12, lr, [r1, #28]\n"
    "en_depthwise_relu r11\n"
    "ldr r12, [r1, #16]\n"
    "ldr lr, [r1, #92]\n"
    "strb r11, [r4]\n"
    "add r4, r12\n"
    "cmp r4, lr\n"
    "bne 2b\n"
    "b 4f\n"
    "3:\n"
    "ldr r11, [r1, #24]\n"
    "en_depthwise_single r0, r5, r6\n"
    "en_depthwise_single r2, r7, r8\n"
    "en_depthwise_single r3, r9, r10\n"
    "ldrd r12, lr, [r1, #28]\n"
    "en_depthwise_any r11, r1\n"
    "ldr r12, [r1, #16]\n"
    "ldr lr, [r1, #92]\n"
    "strb r11, [r4]\n"
    "add r4, r12\n"
    "cmp r4, lr\n"
    "bne 3b\n"
    "4:\n"
    "en_depthwise_next_row r1\n"
    "bne 6b\n"
    "mov r11, r1\n"
    "en_depthwise_next\n"
    "bne 1b\n"
    "add sp, #4\n"
    "pop {r4-r11, pc}\n"
    ".size en_depthwise_two_dsp, . - en_depthwise_two_dsp\n"
    ".purgem en_depthwise_weights\n"
    ".purgem en_depthwise_channel\n"
    ".purgem en_depthwise_next\n"
    ".purgem en_depthwise_next_row\n"
    ".purgem en_depthwise_relu\n"
    ".purgem en_depthwise_any\n"
    ".purgem en_depthwise_both\n"
    ".purgem en_depthwise_single\n"
    ".text\n");

/* what the assembly takes for granted */
typedef char en_depthwise_line_holds[((offsetof(en_depthwise_line, bias) == 24) &&
                                      (offsetof(en_depthwise_line, weight) == 48) &&
                                      (offsetof(en_depthwise_line, range) == 72) &&
                                      (offsetof(en_depthwise_line, depth_multiplier) == 84) &&
                                      (sizeof(en_depthwise_line) == 112))
                                         ? 1
                                         : -1];

static void rows_dsp(const en_depthwise *conv, const int8_t *const *rows, int32_t count, int8_t *out)
{
    const int32_t step = conv->in_channels * conv->depth_multiplier;
    const int32_t odd = (conv->column_stride == 1) ? (conv->out_columns & 1) : 0;
    en_depthwise_line line;
    line.rows[0] = rows[0];
    line.rows[1] = rows[1];
    line.rows[2] = rows[2];
    line.out = out;
    line.step = step;
    line.end = &out[(conv->out_columns - odd) * step];
    line.again = conv->depth_multiplier;
    line.odd = odd;
    line.row_step = conv->ring_columns * 2;
    line.weight = conv->weight;
    line.pair = (const int8_t *)(const void *)conv->pairs;
    line.pair_step = 4;
    line.right_offset = 16;
    line.channels = conv->block * conv->depth_multiplier;
    line.relu = ((conv->range.zero_point == -128) && (conv->range.low == -128) &&
                 (conv->range.high == 127))
                    ? 1
                    : 0;
    line.range = conv->range;
    line.depth_multiplier = conv->depth_multiplier;
    line.left = count;
    line.row_end = line.end;
    line.count = count;
    line.row_delta = (conv->row_stride * conv->block * conv->ring_columns * 2) -
                     (4 * ((conv->column_stride == 1) ? ((conv->out_columns + 1) / 2)
                                                      : conv->out_columns));
    line.gap = odd * step;
    line.out_row = conv->out_columns * step;
    if (conv->column_stride == 1) {
        en_depthwise_one_dsp(&line);
    } else {
        en_depthwise_two_dsp(&line);
    }
}
#endif

/* Kernel 3x3; weights in variables of their own, which no store can change. */
static void three_by_three(const en_depthwise *conv, const int8_t *const *rows,
                           const int8_t *weight, const en_pair *pair, int32_t half,
                           int8_t *EN_RESTRICT out, int32_t start)
{
    const int32_t w00 = weight[0], w01 = weight[1], w02 = weight[2];
    const int32_t w10 = weight[4], w11 = weight[5], w12 = weight[6];
    const int32_t w20 = weight[8], w21 = weight[9], w22 = weight[10];
    const int32_t step = conv->in_channels * conv->depth_multiplier;
    const int32_t stride = conv->column_stride;
    const int32_t bias = pair->bias[half];
    const en_scale scale = en_scale_of(pair, half, conv->range);
    const int8_t *a = &rows[0][start];
    const int8_t *b = &rows[1][start];
    const int8_t *c = &rows[2][start];
    for (int32_t left = conv->out_columns; left > 0; left--) {
        int32_t sum = bias;
        sum += (a[0] * w00) + (a[1] * w01) + (a[2] * w02);
        sum += (b[0] * w10) + (b[1] * w11) + (b[2] * w12);
        sum += (c[0] * w20) + (c[1] * w21) + (c[2] * w22);
        *out = en_scaled(sum, &scale);
        out = &out[step];
        a = &a[stride];
        b = &b[stride];
        c = &c[stride];
    }
}

static int32_t any(const en_depthwise *conv, const int8_t *const *rows, const int8_t *weight,
                   int32_t start)
{
    int32_t sum = 0;
    for (int32_t y = 0; y < conv->kernel_rows; y++) {
        const int8_t *a = &rows[y][start];
        for (int32_t x = 0; x < conv->kernel_columns; x++) {
            sum += a[x] * weight[x];
        }
        weight = &weight[(conv->kernel_columns + 3) & ~3];
    }
    return sum;
}

/* One channel. */
static void channel_row(const en_depthwise *conv, const int8_t *const *rows, int32_t channel,
                        int8_t *out)
{
    const int32_t step = conv->in_channels * conv->depth_multiplier;
    const int32_t bytes = conv->kernel_rows * ((conv->kernel_columns + 3) & ~3);
    const int8_t *weight = &conv->weight[channel * bytes];
    const en_pair *pair = &conv->pairs[channel / 2];
    const int32_t half = channel & 1;
    int32_t start = (channel / conv->depth_multiplier) * conv->ring_columns;
    if ((conv->kernel_rows == 3) && (conv->kernel_columns == 3)) {
        three_by_three(conv, rows, weight, pair, half, out, start);
        return;
    }
    for (int32_t x = 0; x < conv->out_columns; x++) {
        const int32_t sum = pair->bias[half] + any(conv, rows, weight, start);
        *out = en_code(sum, pair->multiplier[half], pair->right[half], conv->range);
        out = &out[step];
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
