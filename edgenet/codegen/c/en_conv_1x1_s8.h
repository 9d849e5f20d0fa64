/* CONV_2D of a 1x1 kernel with stride 1, and FULLY_CONNECTED, which is that on one pixel a row. */
#ifndef EN_CONV_1X1_S8_H
#define EN_CONV_1X1_S8_H

#include "en_dot.h"

EN_BEGIN

typedef struct {
    en_dot dot;
    int32_t pixels;
    int32_t unpack; /* there is scratch for en_dot_unpack_s8, behind the rest */
    int32_t backwards; /* the last pixels first, so that the output may grow over its input */
} en_conv_1x1;

/* scratch: 8 * terms bytes; 2 * terms where there are less than four pixels.  Unpacked weights take
 * 2 * terms a channel more. */
void en_conv_1x1_s8(const en_conv_1x1 *conv, const int8_t *in, int8_t *out, int8_t *scratch);

EN_END

#endif
