#include "en_conv_mve_s8.h"

#if EN_MVE

/* Lines of a patch, one below the other in the map, one behind the other in the patch; bytes is at
 * most 16, and so is what a line takes. */
static inline void short_lines(int8_t *to, const int8_t *from, int32_t bytes, int32_t step,
                               int32_t rows)
{
    __asm__ volatile("vctp.8 %[bytes]\n"
                     "dls lr, %[rows]\n"
                     "1:\n"
                     "vpstt\n"
                     "vldrbt.8 q0, [%[from]]\n"
                     "vstrbt.8 q0, [%[to]]\n"
                     "add %[from], %[step]\n"
                     "add %[to], %[bytes]\n"
                     "le lr, 1b\n"
                     : [to] "+r"(to), [from] "+r"(from)
                     : [bytes] "r"(bytes), [step] "r"(step), [rows] "r"(rows)
                     : "q0", "lr", "memory");
}

/* A patch that lies on the map. */
static inline void inside(const en_conv_mve *conv, const int8_t *from, int8_t *to, int32_t line,
                          int32_t step)
{
    if (line <= 16) {
        short_lines(to, from, line, step, conv->kernel_rows);
    } else {
        for (int32_t y = conv->kernel_rows; y > 0; y--) {
            en_copy_mve(to, from, line);
            to = &to[line];
            from = &from[step];
        }
    }
}

/* A patch at (top, left) of which some lies beyond the map. */
static void border(const en_conv_mve *conv, const int8_t *in, int32_t top, int32_t left, int8_t *to)
{
    const int32_t channels = conv->in_channels;
    const int32_t line = conv->kernel_columns * channels;
    /* columns of the kernel that lie on the map */
    const int32_t first = en_min(en_max(-left, 0), conv->kernel_columns);
    const int32_t last = en_max(en_min(conv->in_columns - left, conv->kernel_columns), first);
    const int32_t bytes = (last - first) * channels;
    const int32_t skipped = first * channels;
    const int32_t step = conv->in_columns * channels;
    int32_t at = (((top * conv->in_columns) + left) * channels) + skipped;
    for (int32_t y = top; y < (top + conv->kernel_rows); y++) {
        const int32_t on_map = (y >= 0) && (y < conv->in_rows);
        if ((on_map == 0) || (bytes < line)) {
            en_set_mve(to, conv->in_zero_point, line);
        }
        if (on_map != 0) {
            en_copy_mve(&to[skipped], &in[at], bytes);
        }
        at += step;
        to = &to[line];
    }
}

void en_conv_mve_s8(const en_conv_mve *conv, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const int32_t terms = conv->dot.terms;
    const int32_t line = conv->kernel_columns * conv->in_channels;
    const int32_t step = conv->in_columns * conv->in_channels;
    int8_t *const end = &scratch[3 * terms];
    int8_t *patch = scratch;
    for (int32_t row = 0; row < conv->out_rows; row++) {
        const int32_t top = (row * conv->row_stride) - conv->pad_top;
        const int32_t rows_on_map = (top >= 0) && ((top + conv->kernel_rows) <= conv->in_rows);
        int32_t left = -conv->pad_left;
        for (int32_t column = conv->out_columns; column > 0; column--) {
            if ((rows_on_map != 0) && (left >= 0) &&
                ((left + conv->kernel_columns) <= conv->in_columns)) {
                inside(conv, &in[(top * step) + (left * conv->in_channels)], patch, line, step);
            } else {
                border(conv, in, top, left, patch);
            }
            left += conv->column_stride;
            patch = &patch[terms];
            if (patch == end) {
                en_dot_mve_s8(&conv->dot, 3, scratch, out);
                out = &out[3 * conv->dot.channels];
                patch = scratch;
            }
        }
    }
    if (patch != scratch) {
        en_dot_mve_s8(&conv->dot, (patch == &scratch[terms]) ? 1 : 2, scratch, out);
    }
}
#endif
