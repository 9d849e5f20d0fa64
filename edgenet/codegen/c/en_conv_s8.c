#include "en_conv_s8.h"

/* Where the kernel lies: its first row and column on the map, which may be outside. */
typedef struct {
    int32_t top;
    int32_t left;
} place;

/* Short lines, of which there are many: a call of memcpy would take longer than the copy. */
static inline void copy_line(int8_t *EN_RESTRICT to, const int8_t *EN_RESTRICT from, int32_t count)
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

/* The row of the map that a row of the kernel covers: the map itself, or line, where what is beyond
 * the map is its zero point. */
static const int8_t *covered(const en_conv *conv, const int8_t *in, place at, int32_t y,
                             int8_t *line)
{
    const int32_t channels = conv->in_channels;
    const int32_t row = at.top + y;
    /* columns of the kernel that lie on the map */
    const int32_t first = en_min(en_max(-at.left, 0), conv->kernel_columns);
    const int32_t last = en_max(en_min(conv->in_columns - at.left, conv->kernel_columns), first);
    const int8_t *from = line;
    const int32_t inside = (row >= 0) && (row < conv->in_rows);
    if (inside != 0) {
        from = &in[((row * conv->in_columns) + at.left + first) * channels];
    }
    if ((inside == 0) || ((last - first) < conv->kernel_columns)) {
        (void)memset(line, conv->in_zero_point, (size_t)(conv->kernel_columns * channels));
        if (inside != 0) {
            copy_line(&line[first * channels], from, (last - first) * channels);
        }
        from = line;
    }
    return from;
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

/* Whether the kernels of four pixels of one row lie on the map. */
static inline int32_t inside(const en_conv *conv, place at)
{
    const int32_t last = at.left + (3 * conv->column_stride);
    return (at.left >= 0) && ((last + conv->kernel_columns) <= conv->in_columns) &&
           (last < ((conv->out_columns * conv->column_stride) - conv->pad_left)) &&
           (at.top >= 0) && ((at.top + conv->kernel_rows) <= conv->in_rows);
}

/* What makes no whole word of a kernel row, of four pixels, to where that of all rows is collected,
 * bytes apart. */
static int8_t *collect(const int8_t *const *rows, int32_t from, int32_t to, int8_t *rest,
                       int32_t bytes)
{
    for (int32_t byte = from; byte < to; byte++) {
        rest[0] = rows[0][byte];
        rest[bytes] = rows[1][byte];
        rest[2 * bytes] = rows[2][byte];
        rest[3 * bytes] = rows[3][byte];
        rest = &rest[1];
    }
    return rest;
}

/* Lays four pixels out, kernel row by kernel row, and behind them what is left of each.  room takes
 * that and four kernel rows. */
static place fill(const en_conv *conv, const int8_t *in, place at, int8_t *room, int8_t *quad)
{
    const int32_t channels = conv->in_channels;
    const int32_t line = conv->kernel_columns * channels;
    const int32_t whole = line & ~3;
    const int32_t rests = conv->kernel_rows * (line - whole);
    const int8_t *rows[4];
    int8_t *rest = &room[4 * line];
    if (inside(conv, at) != 0) {
        const int32_t step = conv->column_stride * channels;
        const int8_t *first = &in[((at.top * conv->in_columns) + at.left) * channels];
        for (int32_t y = 0; y < conv->kernel_rows; y++) {
            rows[0] = &first[y * conv->in_columns * channels];
            rows[1] = &rows[0][step];
            rows[2] = &rows[1][step];
            rows[3] = &rows[2][step];
            rest = collect(rows, whole, line, rest, rests);
            quad = en_dot_fill_s8(&conv->dot, rows, whole, quad);
        }
        at.left += 3 * conv->column_stride;
        at = next(conv, at);
    } else {
        place places[4];
        for (int32_t pixel = 0; pixel < 4; pixel++) {
            places[pixel] = at;
            at = next(conv, at);
        }
        for (int32_t y = 0; y < conv->kernel_rows; y++) {
            for (int32_t pixel = 0; pixel < 4; pixel++) {
                rows[pixel] = covered(conv, in, places[pixel], y, &room[pixel * line]);
            }
            rest = collect(rows, whole, line, rest, rests);
            quad = en_dot_fill_s8(&conv->dot, rows, whole, quad);
        }
    }
    if (rests > 0) {
        for (int32_t pixel = 0; pixel < 4; pixel++) {
            rows[pixel] = &room[(4 * line) + (pixel * rests)];
        }
        (void)en_dot_fill_s8(&conv->dot, rows, rests, quad);
    }
    return at;
}

/* The terms of one pixel. */
static void gather(const en_conv *conv, const int8_t *in, place at, int8_t *to, int8_t *line)
{
    const int32_t bytes = conv->kernel_columns * conv->in_channels;
    const int32_t whole = bytes & ~3;
    int8_t *rest = &to[conv->kernel_rows * whole];
    for (int32_t y = 0; y < conv->kernel_rows; y++) {
        const int8_t *from = covered(conv, in, at, y, line);
        copy_line(&to[y * whole], from, whole);
        for (int32_t byte = whole; byte < bytes; byte++) {
            *rest = from[byte];
            rest = &rest[1];
        }
    }
}

void en_conv_s8(const en_conv *conv, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const int32_t terms = conv->dot.terms;
    int8_t *room = &scratch[8 * terms];
    const int8_t *unpacked = en_dot_unpack_s8(&conv->dot, conv->unpack, &scratch[(12 * terms) + 16]);
    int32_t left = conv->out_rows * conv->out_columns;
    place at = {-conv->pad_top, -conv->pad_left};
    while (left >= 4) {
        at = fill(conv, in, at, room, scratch);
        en_dot_quad_s8(&conv->dot, unpacked, scratch, out);
        out = &out[4 * conv->dot.channels];
        left -= 4;
    }
    while (left > 0) {
        gather(conv, in, at, room, scratch);
        at = next(conv, at);
        en_dot_row_s8(&conv->dot, room, scratch, out);
        out = &out[conv->dot.channels];
        left--;
    }
}
