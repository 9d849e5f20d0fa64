#include "en_depthwise_s8.h"

#if EN_DSP
#include "en_dsp.h"

static uint16_t twice(int32_t code)
{
    return (uint16_t)(2 * code);
}

/* Four channels of two columns at a time: a word of each, transposed by halves. */
static void fill_dsp(const en_depthwise *conv, const int8_t *row, uint16_t *to)
{
    const int32_t channels = conv->in_channels;
    const int32_t width = conv->ring_columns;
    int32_t channel = 0;
    for (; (channel + 4) <= channels; channel += 4) {
        const int8_t *from = &row[channel];
        uint16_t *line0 = &to[channel * width];
        uint16_t *line1 = &line0[width];
        uint16_t *line2 = &line1[width];
        uint16_t *line3 = &line2[width];
        int32_t left = conv->in_columns;
        for (; left >= 2; left -= 2) {
            const uint32_t a = en_load_word(from);
            const uint32_t b = en_load_word(&from[channels]);
            const uint32_t even_a = en_double(en_even(a));
            const uint32_t even_b = en_double(en_even(b));
            const uint32_t odd_a = en_double(en_odd(a));
            const uint32_t odd_b = en_double(en_odd(b));
            const uint32_t pair0 = en_low_halves(even_a, even_b);
            const uint32_t pair1 = en_low_halves(odd_a, odd_b);
            const uint32_t pair2 = en_high_halves(even_a, even_b);
            const uint32_t pair3 = en_high_halves(odd_a, odd_b);
            (void)memcpy(line0, &pair0, sizeof pair0);
            (void)memcpy(line1, &pair1, sizeof pair1);
            (void)memcpy(line2, &pair2, sizeof pair2);
            (void)memcpy(line3, &pair3, sizeof pair3);
            line0 = &line0[2];
            line1 = &line1[2];
            line2 = &line2[2];
            line3 = &line3[2];
            from = &from[2 * channels];
        }
        if (left > 0) {
            line0[0] = twice(from[0]);
            line1[0] = twice(from[1]);
            line2[0] = twice(from[2]);
            line3[0] = twice(from[3]);
        }
    }
    for (; channel < channels; channel++) {
        uint16_t *line = &to[channel * width];
        for (int32_t x = 0; x < conv->in_columns; x++) {
            line[x] = twice(row[(x * channels) + channel]);
        }
    }
}
#endif

void en_depthwise_fill_s8(const en_depthwise *conv, const int8_t *row, int8_t *to)
{
    const int32_t channels = conv->in_channels;
#if EN_DSP
    if (conv->fast != 0) {
        fill_dsp(conv, row, &((uint16_t *)(void *)to)[conv->pad_left]);
        return;
    }
#endif
    for (int32_t channel = 0; channel < channels; channel++) {
        int8_t *line = &to[(channel * conv->ring_columns) + conv->pad_left];
        const int8_t *from = &row[channel];
        for (int32_t x = 0; x < conv->in_columns; x++) {
            line[x] = *from;
            from = &from[channels];
        }
    }
}
