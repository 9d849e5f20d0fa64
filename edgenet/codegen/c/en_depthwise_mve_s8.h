/* en_depthwise_s8 for MVE: kernels of at most 4 rows and 3 columns, column strides 1 and 2.
 *
 * Rows of the input are copied into a ring of four before the output takes their place, channel by
 * channel and column by column,
 *
 *   int8 [channel][column][4]     row y of the map as byte (y + pad_top) % 4
 *
 * so that what the kernel covers lies in 12 bytes: one load and one VMLADAVA for an output. */
#ifndef EN_DEPTHWISE_MVE_S8_H
#define EN_DEPTHWISE_MVE_S8_H

#include "en_common.h"

EN_BEGIN

#if EN_MVE

typedef struct {
    const int8_t *weight;     /* [channel][3 columns][4 rows], and 4 bytes behind the last */
    const en_single *singles; /* [channel] */
    en_range range;
    int32_t relu; /* as in en_dot_mve.h */
    int32_t in_rows;
    int32_t in_columns;
    int32_t channels;
    int32_t in_zero_point; /* what padding holds */
    int32_t out_rows;
    int32_t out_columns;
    int32_t kernel_rows;
    int32_t row_stride;
    int32_t column_stride;
    int32_t pad_top;
    int32_t pad_left;
    int32_t ring_columns; /* what output columns cover, and all input columns */
    int32_t block;        /* channels that are laid out at a time; all unless out of place */
} en_depthwise_mve;

/* scratch: 4 * block * columns of the ring bytes, and what is read beyond: up to 15 columns. */
void en_depthwise_mve_s8(const en_depthwise_mve *conv, const int8_t *in, int8_t *out,
                         int8_t *scratch);

/* What a row of outputs needs. */
typedef struct {
    const int8_t *patch;      /* of the first column, first channel */
    int8_t *out;
    const int8_t *weight;
    const en_single *singles;
    const en_single *end;     /* 16: of singles */
    int32_t gap;              /* 20: bytes from the last whole eight of patches to the next channel */
    int32_t out_gap;          /* 24: the same in the output */
    int32_t eights;           /* 28: outputs by eights */
    int32_t rest;             /* 32: outputs beyond */
    int32_t out_eight;        /* 36: bytes of eight outputs */
    int32_t zero_point;       /* 40 */
    int32_t relu;             /* 44 */
    int32_t up[4];            /* 48: bits that turn weights to where the ring has their rows */
    int32_t down[4];          /* 64: the other way, less 32; none is left of a fourth column */
    int16_t least[8];         /* 80 */
    int16_t most[8];          /* 96 */
    uint16_t offsets[8];      /* 112: of outputs */
    uint32_t far_offsets[4];  /* 128 */
} en_depthwise_line_mve;

void en_depthwise_row_mve_s8(const en_depthwise_line_mve *line, int32_t column_stride);

#endif

EN_END

#endif
