/* CONV_2D of any kernel and stride: patches are gathered, then multiplied as pixels are. */
#ifndef EN_CONV_S8_H
#define EN_CONV_S8_H

#include "en_dot.h"

EN_BEGIN

typedef struct {
    /* terms are rows, columns, channels of the kernel, of each row as many as make whole words; then
     * what is left of the rows */
    en_dot dot;
    int32_t in_rows;
    int32_t in_columns;
    int32_t in_channels;
    int32_t in_zero_point; /* what padding holds */
    int32_t out_rows;
    int32_t out_columns;
    int32_t kernel_rows;
    int32_t kernel_columns;
    int32_t row_stride;
    int32_t column_stride;
    int32_t pad_top;
    int32_t pad_left;
    int32_t unpack; /* there is scratch for en_dot_unpack_s8, behind the rest */
} en_conv;

/* scratch: 12 * terms + 16 bytes, and for unpacked weights as en_dot_unpack_s8 says. */
void en_conv_s8(const en_conv *conv, const int8_t *in, int8_t *out, int8_t *scratch);

EN_END

#endif
