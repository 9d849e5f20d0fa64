#include "en_depthwise_mve_s8.h"

#include "en_mve.h"

#if EN_MVE

/* One row of up to eight channels into their lines: bytes offsets apart, 4 from column to column. */
static inline void spread(const int8_t *from, int32_t step, int8_t *to, int32_t columns,
                          const uint16_t *offsets, int32_t channels)
{
    const int8_t *next;
    __asm__ volatile("vctp.16 %[channels]\n"
                     "vldrh.16 q0, [%[offsets]]\n"
                     "mov %[next], #4\n"
                     "vadd.i16 q1, q0, %[next]\n"
                     "lsr lr, %[columns], #1\n"
                     "wls lr, lr, 2f\n"
                     "1:\n"
                     "add %[next], %[from], %[step]\n"
                     "vpstttt\n"
                     "vldrbt.u16 q2, [%[from]]\n"
                     "vldrbt.u16 q3, [%[next]]\n"
                     "vstrbt.16 q2, [%[to], q0]\n"
                     "vstrbt.16 q3, [%[to], q1]\n"
                     "add %[from], %[next], %[step]\n"
                     "add %[to], #8\n"
                     "le lr, 1b\n"
                     "2:\n"
                     "lsrs lr, %[columns], #1\n"
                     "bcc 3f\n"
                     "vpstt\n"
                     "vldrbt.u16 q2, [%[from]]\n"
                     "vstrbt.16 q2, [%[to], q0]\n"
                     "3:\n"
                     : [from] "+l"(from), [to] "+r"(to), [next] "=&l"(next)
                     : [step] "r"(step), [columns] "r"(columns), [offsets] "r"(offsets),
                       [channels] "r"(channels)
                     : "q0", "q1", "q2", "q3", "lr", "cc", "memory");
}

/* One byte of four in all columns: a row of padding. */
static void blank(int8_t *to, int32_t value, int32_t columns)
{
    static const uint8_t offsets[16] = {0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60};
    __asm__ volatile("vdup.8 q0, %[value]\n"
                     "vldrb.8 q1, [%[offsets]]\n"
                     "wlstp.8 lr, %[columns], 2f\n"
                     "1:\n"
                     "vstrb.8 q0, [%[to], q1]\n"
                     "add %[to], #64\n"
                     "letp lr, 1b\n"
                     "2:\n"
                     : [to] "+r"(to)
                     : [value] "r"(value), [columns] "r"(columns), [offsets] "r"(offsets)
                     : "q0", "q1", "lr", "memory");
}

/* Where the ring has the rows that begin with row first: weights turn by as many bytes. */
static void turn(en_depthwise_line_mve *line, int32_t first)
{
    const int32_t bits = 8 * (first & 3);
    for (int32_t column = 0; column < 3; column++) {
        line->up[column] = bits;
        line->down[column] = bits - 32;
    }
}

static void prepare(const en_depthwise_mve *conv, en_depthwise_line_mve *line)
{
    const int32_t rest = conv->out_columns & 7;
    const int32_t whole = conv->out_columns - rest;
    line->gap = 4 * (conv->ring_columns - (whole * conv->column_stride));
    line->out_gap = 1 - (whole * conv->channels);
    line->eights = whole / 8;
    line->rest = rest;
    line->out_eight = 8 * conv->channels;
    line->zero_point = conv->range.zero_point;
    line->relu = conv->relu;
    line->up[3] = 64; /* a fourth column has no weights: those of the next channel go */
    line->down[3] = -64;
    for (int32_t lane = 0; lane < 8; lane++) {
        line->least[lane] = (int16_t)conv->range.low;
        line->most[lane] = (int16_t)conv->range.high;
        line->offsets[lane] = (uint16_t)(lane * conv->channels);
        line->far_offsets[lane & 3] = (uint32_t)((lane & 3) * conv->channels);
    }
}

/* All rows of some channels. */
static void channels_of(const en_depthwise_mve *conv, const int8_t *in, int8_t *out,
                        int8_t *scratch, int32_t start, int32_t count)
{
    const int32_t line_bytes = 4 * conv->ring_columns;
    const int32_t step = conv->in_columns * conv->channels;
    uint16_t offsets[8];
    en_depthwise_line_mve line;
    int32_t filled = 0; /* rows that went into the ring so far; padding above the map counts */
    prepare(conv, &line);
    for (int32_t lane = 0; lane < 8; lane++) {
        offsets[lane] = (uint16_t)(lane * line_bytes);
    }
    en_set_mve(scratch, conv->in_zero_point, count * line_bytes);
    for (int32_t row = 0; row < conv->out_rows; row++) {
        const int32_t first = row * conv->row_stride;
        for (; filled < (first + conv->kernel_rows); filled++) {
            const int32_t y = filled - conv->pad_top;
            int8_t *to = &scratch[filled & 3];
            if (y >= conv->in_rows) {
                blank(to, conv->in_zero_point, count * conv->ring_columns);
            } else if ((y >= 0) && (filled >= first)) {
                to = &to[4 * conv->pad_left];
                for (int32_t channel = 0; channel < count; channel += 8) {
                    spread(&in[(y * step) + start + channel], conv->channels,
                           &to[channel * line_bytes], conv->in_columns, offsets, count - channel);
                }
            } else {
                /* above the map, or never covered */
            }
        }
        turn(&line, first);
        line.patch = scratch;
        line.out = &out[(row * conv->out_columns * conv->channels) + start];
        line.weight = &conv->weight[12 * start];
        line.singles = &conv->singles[start];
        line.end = &conv->singles[start + count];
        en_depthwise_row_mve_s8(&line, conv->column_stride);
    }
}

void en_depthwise_mve_s8(const en_depthwise_mve *conv, const int8_t *in, int8_t *out,
                         int8_t *scratch)
{
    for (int32_t start = 0; start < conv->channels; start += conv->block) {
        channels_of(conv, in, out, scratch, start, en_min(conv->channels - start, conv->block));
    }
}
#endif
