#include "en_conv_1x1_mve_s8.h"

#if EN_MVE

static void some(const en_conv_1x1_mve *conv, int32_t count, const int8_t *in, int8_t *out,
                 int8_t *scratch)
{
    const int32_t depth = conv->dot.depth;
    const int32_t terms = conv->dot.terms;
    if (depth == terms) {
        en_copy_mve(scratch, in, count * depth);
    } else {
        for (int32_t pixel = 0; pixel < count; pixel++) {
            en_copy_mve(&scratch[pixel * terms], &in[pixel * depth], depth);
        }
    }
    en_dot_mve_s8(&conv->dot, count, scratch, out);
}

/* Threes, after the twos that make up for what is not a multiple of three. */
void en_conv_1x1_mve_s8(const en_conv_1x1_mve *conv, const int8_t *in, int8_t *out,
                        int8_t *scratch)
{
    const int32_t depth = conv->dot.depth;
    const int32_t channels = conv->dot.channels;
    int32_t left = conv->pixels;
    while (left > 0) {
        const int32_t threes = (left % 3) == 0;
        const int32_t count = (threes != 0) ? 3 : en_min(left, 2);
        const int32_t at = (conv->backwards != 0) ? (left - count) : (conv->pixels - left);
        if ((threes != 0) && (conv->dot.terms == 16)) {
            const int32_t groups = left / 3;
            en_dot_short_mve_s8(&conv->dot, &in[at * depth], &out[at * channels],
                                (conv->backwards != 0) ? -groups : groups);
            return;
        }
        some(conv, count, &in[at * depth], &out[at * channels], scratch);
        left -= count;
    }
}
#endif
