#include "en_conv_1x1_s8.h"

static void quads(const en_conv_1x1 *conv, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const int32_t depth = conv->dot.depth;
    const int32_t channels = conv->dot.channels;
    const int32_t count = conv->pixels / 4;
    const int8_t *unpacked =
        en_dot_unpack_s8(&conv->dot, conv->unpack, &scratch[8 * conv->dot.terms]);
    for (int32_t step = 0; step < count; step++) {
        const int32_t pixel = 4 * ((conv->backwards != 0) ? (count - 1 - step) : step);
        const int8_t *first = &in[pixel * depth];
        const int8_t *const rows[4] = {first, &first[depth], &first[2 * depth], &first[3 * depth]};
        (void)en_dot_fill_s8(&conv->dot, rows, depth, scratch);
        en_dot_quad_s8(&conv->dot, unpacked, scratch, &out[pixel * channels]);
    }
}

static void rest(const en_conv_1x1 *conv, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const int32_t whole = conv->pixels & ~3;
    const int32_t count = conv->pixels & 3;
    for (int32_t step = 0; step < count; step++) {
        const int32_t pixel = whole + ((conv->backwards != 0) ? (count - 1 - step) : step);
        en_dot_row_s8(&conv->dot, &in[pixel * conv->dot.depth], scratch,
                      &out[pixel * conv->dot.channels]);
    }
}

void en_conv_1x1_s8(const en_conv_1x1 *conv, const int8_t *in, int8_t *out, int8_t *scratch)
{
    if (conv->backwards != 0) {
        rest(conv, in, out, scratch);
        quads(conv, in, out, scratch);
    } else {
        quads(conv, in, out, scratch);
        rest(conv, in, out, scratch);
    }
}
