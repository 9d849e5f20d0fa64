/* en_mean_s8 for MVE. */
#ifndef EN_MEAN_MVE_S8_H
#define EN_MEAN_MVE_S8_H

#include "en_common.h"

EN_BEGIN

typedef struct {
    int32_t pixels;
    int32_t channels;
    int32_t bias; /* pixels times the zero point of the input, negative */
    int32_t multiplier;
    int32_t left; /* -1 to -31, bits that the product is shifted to the left by */
    en_range range;
} en_mean_mve;

#if EN_MVE
void en_mean_mve_s8(const en_mean_mve *mean, const int8_t *in, int8_t *out);
#endif

EN_END

#endif
