/* MEAN over rows and columns: one code a channel.  The output may lie at the input's start. */
#ifndef EN_MEAN_S8_H
#define EN_MEAN_S8_H

#include "en_common.h"

EN_BEGIN

typedef struct {
    int32_t pixels;
    int32_t channels;
    int32_t bias; /* pixels times the zero point of the input, negative */
    int32_t multiplier;
    int32_t right;
    en_range range;
} en_mean;

void en_mean_s8(const en_mean *mean, const int8_t *in, int8_t *out);

EN_END

#endif
