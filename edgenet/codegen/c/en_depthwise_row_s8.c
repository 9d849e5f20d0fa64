#include "en_depthwise_s8.h"

#include "en_requantize.h"

static int32_t three(const int8_t *a, const int8_t *weight)
{
    return (a[0] * weight[0]) + (a[1] * weight[1]) + (a[2] * weight[2]);
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

#if EN_DSP

/* Kernel 3x3, stride 1: two columns at a time from two words of each row, x0 x1 and x2 x3.
 *
 *   column 0: w0 x0 + w1 x1 (SMLAD), w2 x2 (SMLATB)
 *   column 1: w0 x1 (SMLABT),        w1 x2 + w2 x3 (SMLAD)
 *
 * with w0 w1 in one register and w1 w2 in another; the six registers of the three rows stay loaded
 * for the whole row, the last of an odd number of columns is computed twice. */
typedef struct {
    int32_t bias; /* twice what it is, as the codes are */
    int32_t multiplier;
    int32_t right;
    int32_t zero_point;
    int32_t low;
    int32_t high;
    int32_t step;    /* bytes from one column of the output to the next */
    int32_t columns; /* pairs, or columns with stride 2 */
} en_depthwise_line;

void en_depthwise_one_dsp(const int8_t *const *rows, const int8_t *weight, int8_t *out,
                          const en_depthwise_line *line);
void en_depthwise_two_dsp(const int8_t *const *rows, const int8_t *weight, int8_t *out,
                          const en_depthwise_line *line);

__asm__(
    ".syntax unified\n"
    ".section .text.en_depthwise_dsp,\"ax\",%progbits\n"
    ".p2align 2\n"
    ".thumb\n"

    /* three weights of a kernel row to w0 w1 and w1 w2 */
    ".macro en_depthwise_weights from, first, second\n"
    "ldr r12, [r1, #\\from]\n"
    "sxtb16 lr, r12\n"
    "sxtb16 r12, r12, ror #8\n"
    "pkhbt \\first, lr, r12, lsl #16\n"
    "pkhtb \\second, lr, r12\n"
    ".endm\n"
    ".macro en_depthwise_code sum\n"
    "smmulr \\sum, \\sum, r12\n"
    "add \\sum, \\sum, \\sum, asr #31\n"
    "asrs \\sum, \\sum, lr\n"
    ".endm\n"
    ".macro en_depthwise_clamp sum\n"
    "cmp \\sum, r12\n"
    "it lt\n"
    "movlt \\sum, r12\n"
    "cmp \\sum, lr\n"
    "it gt\n"
    "movgt \\sum, lr\n"
    ".endm\n"
    /* r3 bias, multiplier...; copied to the stack: 0 bias, 4 multiplier, 8 right, 12 zero point,
     * 16 low, 20 high, 24 step, 28 columns.  r0, r2, r3 rows, r4 output, r5 to r10 weights. */
    ".macro en_depthwise_start\n"
    "push {r4-r11, lr}\n"
    "sub sp, #36\n"
    "ldm r3!, {r4-r7}\n"
    "stm sp, {r4-r7}\n"
    "ldm r3, {r4-r7}\n"
    "add r12, sp, #16\n"
    "stm r12, {r4-r7}\n"
    "mov r4, r2\n"
    "en_depthwise_weights 0, r5, r6\n"
    "en_depthwise_weights 4, r7, r8\n"
    "en_depthwise_weights 8, r9, r10\n"
    "ldr r2, [r0, #4]\n"
    "ldr r3, [r0, #8]\n"
    "ldr r0, [r0]\n"
    ".endm\n"

    ".global en_depthwise_one_dsp\n"
    ".type en_depthwise_one_dsp,%function\n"
    ".thumb_func\n"
    "en_depthwise_one_dsp:\n"
    "en_depthwise_start\n"
    "1:\n"
    "ldr r1, [sp]\n"
    "ldr r12, [r0], #4\n"
    "ldr lr, [r0]\n"
    "smlad r11, r5, r12, r1\n"
    "smlabt r1, r5, r12, r1\n"
    "smlatb r11, r6, lr, r11\n"
    "smlad r1, r6, lr, r1\n"
    "ldr r12, [r2], #4\n"
    "ldr lr, [r2]\n"
    "smlad r11, r7, r12, r11\n"
    "smlabt r1, r7, r12, r1\n"
    "smlatb r11, r8, lr, r11\n"
    "smlad r1, r8, lr, r1\n"
    "ldr r12, [r3], #4\n"
    "ldr lr, [r3]\n"
    "smlad r11, r9, r12, r11\n"
    "smlabt r1, r9, r12, r1\n"
    "smlatb r11, r10, lr, r11\n"
    "smlad r1, r10, lr, r1\n"
    "ldrd r12, lr, [sp, #4]\n"
    "en_depthwise_code r11\n"
    "ldr r12, [sp, #12]\n"
    "adc r11, r11, r12\n"
    "ldr r12, [sp, #4]\n"
    "en_depthwise_code r1\n"
    "ldr r12, [sp, #12]\n"
    "adc r1, r1, r12\n"
    "ldrd r12, lr, [sp, #16]\n"
    "en_depthwise_clamp r11\n"
    "en_depthwise_clamp r1\n"
    "ldrd r12, lr, [sp, #24]\n"
    "strb r11, [r4]\n"
    "subs lr, #2\n"
    "it pl\n"
    "strbpl r1, [r4, r12]\n"
    "add r4, r4, r12, lsl #1\n"
    "str lr, [sp, #28]\n"
    "bgt 1b\n"
    "add sp, #36\n"
    "pop {r4-r11, pc}\n"
    ".size en_depthwise_one_dsp, . - en_depthwise_one_dsp\n"

    /* Stride 2: one column from x0 x1 and x2. */
    ".global en_depthwise_two_dsp\n"
    ".type en_depthwise_two_dsp,%function\n"
    ".thumb_func\n"
    "en_depthwise_two_dsp:\n"
    "en_depthwise_start\n"
    "2:\n"
    "ldr r11, [sp]\n"
    "ldr r12, [r0], #4\n"
    "ldr lr, [r0]\n"
    "smlad r11, r5, r12, r11\n"
    "smlatb r11, r6, lr, r11\n"
    "ldr r12, [r2], #4\n"
    "ldr lr, [r2]\n"
    "smlad r11, r7, r12, r11\n"
    "smlatb r11, r8, lr, r11\n"
    "ldr r12, [r3], #4\n"
    "ldr lr, [r3]\n"
    "smlad r11, r9, r12, r11\n"
    "smlatb r11, r10, lr, r11\n"
    "ldrd r12, lr, [sp, #4]\n"
    "en_depthwise_code r11\n"
    "ldr r12, [sp, #12]\n"
    "adc r11, r11, r12\n"
    "ldrd r12, lr, [sp, #16]\n"
    "en_depthwise_clamp r11\n"
    "ldrd r12, lr, [sp, #24]\n"
    "strb r11, [r4]\n"
    "add r4, r4, r12\n"
    "subs lr, #1\n"
    "str lr, [sp, #28]\n"
    "bne 2b\n"
    "add sp, #36\n"
    "pop {r4-r11, pc}\n"
    ".size en_depthwise_two_dsp, . - en_depthwise_two_dsp\n"
    ".purgem en_depthwise_weights\n"
    ".purgem en_depthwise_code\n"
    ".purgem en_depthwise_clamp\n"
    ".purgem en_depthwise_start\n"
    ".text\n");

typedef char en_depthwise_line_holds[(sizeof(en_depthwise_line) == 32) ? 1 : -1];

#endif

void en_depthwise_row_s8(const en_depthwise *conv, const int8_t *const *rows, int32_t channel,
                         int8_t *out)
{
    const int32_t step = conv->in_channels * conv->depth_multiplier;
    const int32_t line_bytes = (conv->kernel_columns + 3) & ~3;
    const int8_t *weight = &conv->weight[channel * conv->kernel_rows * line_bytes];
    const en_pair *pair = &conv->pairs[channel / 2];
    const int32_t half = channel & 1;
    const int32_t bias = pair->bias[half];
    const int32_t multiplier = pair->multiplier[half];
    const int32_t right = pair->right[half];
#if EN_DSP
    if (conv->fast != 0) {
        const en_depthwise_line line = {2 * bias,
                                        multiplier,
                                        right,
                                        conv->range.zero_point,
                                        conv->range.low,
                                        conv->range.high,
                                        step,
                                        conv->out_columns};
        if (conv->column_stride == 1) {
            en_depthwise_one_dsp(rows, weight, out, &line);
        } else {
            en_depthwise_two_dsp(rows, weight, out, &line);
        }
        return;
    }
#endif
    for (int32_t x = 0; x < conv->out_columns; x++) {
        const int32_t start = x * conv->column_stride;
        int32_t sum = bias;
        if ((conv->kernel_rows == 3) && (conv->kernel_columns == 3)) {
            sum += three(&rows[0][start], weight) + three(&rows[1][start], &weight[4]) +
                   three(&rows[2][start], &weight[8]);
        } else {
            sum += any(conv, rows, weight, start);
        }
        *out = en_code(sum, multiplier, right, conv->range);
        out = &out[step];
    }
}
