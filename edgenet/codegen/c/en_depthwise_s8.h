/* DEPTHWISE_CONV_2D of any kernel, stride and depth multiplier, in place where the plan says so.
 *
 * Rows of the input are copied into a ring of as many rows as the kernel has, channel by channel
 * and with their padding, before the output takes their place:
 *
 *   portable  int8   [row][channel][columns of the ring]
 *   DSP       int16  the same */
#ifndef EN_DEPTHWISE_S8_H
#define EN_DEPTHWISE_S8_H

#include "en_common.h"

EN_BEGIN

typedef struct {
    const int8_t *weight; /* [channel][kernel row][kernel column] */
    const en_pair *pairs; /* [channel / 2] */
    en_range range;
    int32_t in_rows;
    int32_t in_columns;
    int32_t in_channels;
    int32_t in_zero_point; /* what padding holds */
    int32_t out_rows;
    int32_t out_columns;
    int32_t depth_multiplier;
    int32_t kernel_rows;
    int32_t kernel_columns;
    int32_t row_stride;
    int32_t column_stride;
    int32_t pad_top;
    int32_t pad_left;
    int32_t ring_columns; /* even; what every output column covers, and all input columns */
    int32_t block;        /* channels that the ring holds: all, or a multiple of 4 at a time */
    int32_t whole;        /* there is scratch for all rows that are covered, not just for a ring */
    int32_t fast;         /* EN_SLOW unless the kernel is 3x3, the column stride 1 or 2 */
} en_depthwise;

/* scratch: 2 * rows * block * columns of the ring bytes, where rows are those of the kernel, or, if
 * whole, all that output rows cover.  Unless block is all channels, the output lies apart. */
void en_depthwise_s8(const en_depthwise *conv, const int8_t *in, int8_t *out, int8_t *scratch);

/* One row of the input into the ring, between its padding. */
void en_depthwise_fill_s8(const en_depthwise *conv, const int8_t *row, int8_t *to);

/* Rows of the output, all channels, from the rows of the ring that the kernel covers for the first
 * of them; more than one only for the DSP flavour with the whole map laid out. */
void en_depthwise_rows_s8(const en_depthwise *conv, const int8_t *const *rows, int32_t count,
                          int8_t *out);

EN_END

#endif
