#include "en_conv_s8.h"

/* Where the kernel lies: its first row and column on the map, which may be outside. */
typedef struct {
    int32_t top;
    int32_t left;
} place;

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

/* Bytes of a kernel row that make whole words; what is left of all rows comes behind them. */
static inline int32_t whole_of(int32_t line)
{
    return line & ~3;
}

/* What the kernel covers, in the order of the terms; line takes a kernel row. */
static void gather(const en_conv *conv, const int8_t *in, place at, int8_t *to, int8_t *line)
{
    const int32_t channels = conv->in_channels;
    const int32_t bytes = conv->kernel_columns * channels;
    const int32_t whole = whole_of(bytes);
    /* columns of the kernel that lie on the map */
    const int32_t first = en_min(en_max(-at.left, 0), conv->kernel_columns);
    const int32_t last = en_max(en_min(conv->in_columns - at.left, conv->kernel_columns), first);
    int8_t *rest = &to[conv->kernel_rows * whole];
    for (int32_t y = at.top; y < (at.top + conv->kernel_rows); y++) {
        const int8_t *from = line;
        const int32_t inside = (y >= 0) && (y < conv->in_rows);
        if (inside != 0) {
            from = &in[((y * conv->in_columns) + at.left + first) * channels];
        }
        if ((inside == 0) || ((last - first) < conv->kernel_columns)) {
            (void)memset(line, conv->in_zero_point, (size_t)bytes);
            if (inside != 0) {
                copy(&line[first * channels], from, (last - first) * channels);
            }
            from = line;
        }
        copy(to, from, whole);
        to = &to[whole];
        for (int32_t left = whole; left < bytes; left++) {
            *rest = from[left];
            rest = &rest[1];
        }
    }
    while (rest != &to[conv->dot.terms - (conv->kernel_rows * whole)]) {
        *rest = 0;
        rest = &rest[1];
    }
}

/* Four pixels of one row whose kernels lie on the map: laid out from there. */
static void fill(const en_conv *conv, const int8_t *in, place at, int8_t *rests, int8_t *quad)
{
    const int32_t step = conv->column_stride * conv->in_channels;
    const int32_t line = conv->kernel_columns * conv->in_channels;
    const int32_t whole = whole_of(line);
    const int32_t left = line - whole;
    const int8_t *rows[4];
    rows[0] = &in[((at.top * conv->in_columns) + at.left) * conv->in_channels];
    for (int32_t y = 0; y < conv->kernel_rows; y++) {
        rows[1] = &rows[0][step];
        rows[2] = &rows[1][step];
        rows[3] = &rows[2][step];
        for (int32_t byte = 0; byte < left; byte++) {
            int8_t *rest = &rests[(y * left) + byte];
            rest[0] = rows[0][whole + byte];
            rest[conv->dot.terms] = rows[1][whole + byte];
            rest[2 * conv->dot.terms] = rows[2][whole + byte];
            rest[3 * conv->dot.terms] = rows[3][whole + byte];
        }
        if (whole > 0) {
            quad = en_dot_fill_s8(&conv->dot, rows, whole, quad);
        }
        rows[0] = &rows[0][conv->in_columns * conv->in_channels];
    }
    if (left > 0) {
        for (int32_t pixel = 0; pixel < 4; pixel++) {
            rows[pixel] = &rests[pixel * conv->dot.terms];
        }
        (void)en_dot_fill_s8(&conv->dot, rows, conv->kernel_rows * left, quad);
    }
}

/* The next pixel of the output. */
static inline place next(const en_conv *conv, place at)
{
    at.left += conv->column_stride;
    if (at.left == ((conv->out_columns * conv->column_stride) - conv->pad_left)) {
        at.left = -conv->pad_left;
        at.top += conv->row_stride;
    }
    return at;
}

void en_conv_s8(const en_conv *conv, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const int32_t terms = conv->dot.terms;
    int8_t *patches = &scratch[8 * terms];
    const int8_t *unpacked = en_dot_unpack_s8(&conv->dot, conv->unpack, &scratch[12 * terms]);
    /* where four pixels are the last that lie in one row, and on the map */
    const int32_t most = en_min(conv->in_columns - conv->kernel_columns,
                                ((conv->out_columns - 1) * conv->column_stride) - conv->pad_left) -
                         (3 * conv->column_stride);
    int32_t left = conv->out_rows * conv->out_columns;
    place at = {-conv->pad_top, -conv->pad_left};
    while (left >= 4) {
        if ((at.left >= 0) && (at.left <= most) && (at.top >= 0) &&
            ((at.top + conv->kernel_rows) <= conv->in_rows)) {
            fill(conv, in, at, patches, scratch);
            at.left += 3 * conv->column_stride;
            at = next(conv, at);
        } else {
            const int8_t *rows[4];
            for (int32_t pixel = 0; pixel < 4; pixel++) {
                rows[pixel] = &patches[pixel * terms];
                gather(conv, in, at, &patches[pixel * terms], scratch);
                at = next(conv, at);
            }
            (void)en_dot_fill_s8(&conv->dot, rows, terms, scratch);
        }
        en_dot_quad_s8(&conv->dot, unpacked, scratch, out);
        out = &out[4 * conv->dot.channels];
        left -= 4;
    }
    while (left > 0) {
        gather(conv, in, at, patches, scratch);
        at = next(conv, at);
        en_dot_row_s8(&conv->dot, patches, scratch, out);
        out = &out[conv->dot.channels];
        left--;
    }
}
