#include "en_conv_s8.h"

/* What the kernel covers at (row, column) of the output, kernel row by kernel row. */
static void gather(const en_conv *conv, const int8_t *in, int32_t row, int32_t column, int8_t *to)
{
    const int32_t channels = conv->in_channels;
    const int32_t line = conv->kernel_columns * channels;
    const int32_t left = (column * conv->column_stride) - conv->pad_left;
    const int32_t top = (row * conv->row_stride) - conv->pad_top;
    /* columns of the kernel that lie on the map */
    const int32_t first = en_min(en_max(-left, 0), conv->kernel_columns);
    const int32_t last = en_max(en_min(conv->in_columns - left, conv->kernel_columns), first);
    for (int32_t y = top; y < (top + conv->kernel_rows); y++) {
        if ((y < 0) || (y >= conv->in_rows)) {
            (void)memset(to, conv->in_zero_point, (size_t)line);
        } else {
            if ((last - first) < conv->kernel_columns) {
                (void)memset(to, conv->in_zero_point, (size_t)line);
            }
            if (last > first) {
                (void)memcpy(&to[first * channels],
                             &in[((y * conv->in_columns) + left + first) * channels],
                             (size_t)((last - first) * channels));
            }
        }
        to = &to[line];
    }
}

void en_conv_s8(const en_conv *conv, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const int32_t terms = conv->dot.terms;
    const int32_t pixels = conv->out_rows * conv->out_columns;
    int8_t *patches = &scratch[8 * terms];
    int32_t row = 0;
    int32_t column = 0;
    int32_t filled = 0;
    for (int32_t pixel = 0; pixel < pixels; pixel++) {
        gather(conv, in, row, column, &patches[filled * terms]);
        filled++;
        column++;
        if (column == conv->out_columns) {
            column = 0;
            row++;
        }
        if (filled == 4) {
            en_dot_fill_s8(&conv->dot, patches, terms, scratch);
            en_dot_quad_s8(&conv->dot, scratch, out);
            out = &out[4 * conv->dot.channels];
            filled = 0;
        }
    }
    for (int32_t pixel = 0; pixel < filled; pixel++) {
        en_dot_row_s8(&conv->dot, &patches[pixel * terms], scratch, out);
        out = &out[conv->dot.channels];
    }
}
