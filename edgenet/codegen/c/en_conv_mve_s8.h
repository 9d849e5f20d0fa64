/* en_conv_s8 for MVE. */
#ifndef EN_CONV_MVE_S8_H
#define EN_CONV_MVE_S8_H

#include "en_dot_mve.h"

EN_BEGIN

typedef struct {
    en_dot_mve dot; /* terms are rows, columns, channels of the kernel */
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
} en_conv_mve;

#if EN_MVE
/* scratch: 3 * terms bytes. */
void en_conv_mve_s8(const en_conv_mve *conv, const int8_t *in, int8_t *out, int8_t *scratch);
#endif

EN_END

#endif
