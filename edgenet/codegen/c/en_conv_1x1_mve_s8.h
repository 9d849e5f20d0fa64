/* en_conv_1x1_s8 for MVE. */
#ifndef EN_CONV_1X1_MVE_S8_H
#define EN_CONV_1X1_MVE_S8_H

#include "en_dot_mve.h"

EN_BEGIN

typedef struct {
    en_dot_mve dot;
    int32_t pixels;
    int32_t backwards; /* the last pixels first, so that the output may grow over its input */
} en_conv_1x1_mve;

#if EN_MVE
/* scratch: 3 * terms bytes. */
void en_conv_1x1_mve_s8(const en_conv_1x1_mve *conv, const int8_t *in, int8_t *out,
                        int8_t *scratch);
#endif

EN_END

#endif
