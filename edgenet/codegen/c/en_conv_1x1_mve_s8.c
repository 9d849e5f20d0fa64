#include "en_conv_1x1_mve_s8.h"

#if EN_MVE

static void some(const en_conv_1x1_mve *conv, int32_t count, const int8_t *in, int8_t *out,
                 int8_t *scratch)
{
    const int32_t depth = conv->dot.depth;
    const int32_t terms = conv->dot.terms;
    if ((terms == 16) && (count == 3)) {
        en_dot_short_mve_s8(&conv->dot, in, out);
        return;
    }
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
static int32_t count_of(int32_t left)
{
    int32_t count = ((left % 3) == 0) ? 3 : 2;
    return en_min(count, left);
}

void en_conv_1x1_mve_s8(const en_conv_1x1_mve *conv, const int8_t *in, int8_t *out,
                        int8_t *scratch)
{
    const int32_t depth = conv->dot.depth;
    const int32_t channels = conv->dot.channels;
    int32_t left = conv->pixels;
    int32_t pixel = 0;
    while (left > 0) {
        const int32_t count = count_of(left);
        left -= count;
        const int32_t at = (conv->backwards != 0) ? left : pixel;
        some(conv, count, &in[at * depth], &out[at * channels], scratch);
        pixel += count;
    }
}
#endif
