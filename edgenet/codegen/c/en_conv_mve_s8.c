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

/* Longer lines. */
static void long_lines(int8_t *to, const int8_t *from, int32_t bytes, int32_t step, int32_t rows)
{
    for (int32_t y = rows; y > 0; y--) {
        en_copy_mve(to, from, bytes);
        to = &to[bytes];
        from = &from[step];
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
    const int32_t three = 3 * conv->dot.channels;
    const int32_t rows = conv->kernel_rows;
    const int32_t line = conv->kernel_columns * conv->in_channels;
    const int32_t step = conv->in_columns * conv->in_channels;
    const int32_t stride = conv->column_stride;
    const int32_t stride_bytes = stride * conv->in_channels;
    const int32_t end = (conv->out_columns * stride) - conv->pad_left;
    /* from column 0 up to, and with, this one patches lie on the map if their rows do */
    const int32_t last = conv->in_columns - conv->kernel_columns;
    int8_t *const full = &scratch[3 * terms];
    int8_t *patch = scratch;
    int32_t top = -conv->pad_top;
    for (int32_t row = conv->out_rows; row > 0; row--) {
        const int32_t left = -conv->pad_left;
        const int32_t on_map = ((top >= 0) && ((top + rows) <= conv->in_rows)) ? last : -1;
        int32_t at = (top * step) + (left * conv->in_channels);
        for (int32_t column = left; column < end; column += stride) {
            if ((column < 0) || (column > on_map)) {
                border(conv, in, top, column, patch);
            } else if (line <= 16) {
                short_lines(patch, &in[at], line, step, rows);
            } else {
                long_lines(patch, &in[at], line, step, rows);
            }
            at += stride_bytes;
            patch = &patch[terms];
            if (patch == full) {
                en_dot_mve_s8(&conv->dot, 3, scratch, out);
                out = &out[three];
                patch = scratch;
            }
        }
        top += conv->row_stride;
    }
    if (patch != scratch) {
        en_dot_mve_s8(&conv->dot, (patch == &scratch[terms]) ? 1 : 2, scratch, out);
    }
}
#endif
