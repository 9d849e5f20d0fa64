#include "en_conv_s8.h"

/* Short lines, of which there are many: a call of memcpy would take longer than the copy. */
static inline void copy(int8_t *EN_RESTRICT to, const int8_t *EN_RESTRICT from, int32_t count)
{
    if (count >= 4) {
        const int8_t *last = &from[count - 4]; /* the last word may cover what is copied already */
        int8_t *end = &to[count - 4];
        while (from < last) {
            uint32_t word = en_load_word(from);
#if defined(__GNUC__)
            __asm__("" : "+r"(word)); /* or compilers see a memmove in this loop, and call it */
#endif
            (void)memcpy(to, &word, sizeof word);
            to = &to[4];
            from = &from[4];
        }
        (void)memcpy(end, last, 4);
    } else {
        for (int32_t at = 0; at < count; at++) {
            to[at] = from[at];
        }
    }
}

/* What the kernel covers at (top, left) of the map, kernel row by kernel row. */
static void gather(const en_conv *conv, const int8_t *in, int32_t top, int32_t left, int8_t *to)
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
    if ((bytes == line) && (top >= 0) && ((top + conv->kernel_rows) <= conv->in_rows)) {
        const int8_t *from = &in[at];
        for (int32_t y = conv->kernel_rows; y > 0; y--) {
            copy(to, from, line);
            to = &to[line];
            from = &from[step];
        }
        return;
    }
    for (int32_t y = top; y < (top + conv->kernel_rows); y++) {
        const int32_t inside = (y >= 0) && (y < conv->in_rows);
        if ((inside == 0) || (bytes < line)) {
            (void)memset(to, conv->in_zero_point, (size_t)line);
        }
        if (inside != 0) {
            copy(&to[skipped], &in[at], bytes);
        }
        at += step;
        to = &to[line];
    }
}

void en_conv_s8(const en_conv *conv, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const int32_t terms = conv->dot.terms;
    const int32_t pixels = conv->out_rows * conv->out_columns;
    int8_t *patches = &scratch[8 * terms];
    const int8_t *unpacked = en_dot_unpack_s8(&conv->dot, conv->unpack, &scratch[12 * terms]);
    const int32_t right = (conv->out_columns * conv->column_stride) - conv->pad_left;
    int32_t top = -conv->pad_top;
    int32_t left = -conv->pad_left;
    int32_t filled = 0;
    for (int32_t pixel = 0; pixel < pixels; pixel++) {
        gather(conv, in, top, left, &patches[filled * terms]);
        filled++;
        left += conv->column_stride;
        if (left == right) {
            left = -conv->pad_left;
            top += conv->row_stride;
        }
        if (filled == 4) {
            en_dot_fill_s8(&conv->dot, patches, terms, scratch);
            en_dot_quad_s8(&conv->dot, unpacked, scratch, out);
            out = &out[4 * conv->dot.channels];
            filled = 0;
        }
    }
    for (int32_t pixel = 0; pixel < filled; pixel++) {
        en_dot_row_s8(&conv->dot, &patches[pixel * terms], scratch, out);
        out = &out[conv->dot.channels];
    }
}
