#include "en_depthwise_s8.h"

/* More kernel rows than any network has; the packer refuses those. */
#define MOST_ROWS 16

void en_depthwise_s8(const en_depthwise *conv, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const int32_t size = EN_DSP ? ((conv->fast != 0) ? 2 : 1) : 1;
    const int32_t channel_bytes = conv->ring_columns * size;
    const int32_t row_bytes = conv->in_channels * channel_bytes;
    const int32_t channels = conv->in_channels * conv->depth_multiplier;
    const int8_t *rows[MOST_ROWS];
    int32_t filled = 0; /* rows that went into the ring so far; padding above the map counts */
    for (int32_t row = 0; row < conv->out_rows; row++) {
        const int32_t first = row * conv->row_stride;
        filled = en_max(filled, first);
        while (filled < (first + conv->kernel_rows)) {
            const int32_t y = filled - conv->pad_top;
            const int8_t *from = NULL;
            if ((y >= 0) && (y < conv->in_rows)) {
                from = &in[y * conv->in_columns * conv->in_channels];
            }
            en_depthwise_fill_s8(conv, from, &scratch[(filled % conv->kernel_rows) * row_bytes]);
            filled++;
        }
        for (int32_t channel = 0; channel < channels; channel++) {
            const int32_t source = channel / conv->depth_multiplier;
            for (int32_t y = 0; y < conv->kernel_rows; y++) {
                rows[y] = &scratch[(((first + y) % conv->kernel_rows) * row_bytes) +
                                   (source * channel_bytes)];
            }
            en_depthwise_row_s8(conv, rows, channel, &out[channel]);
        }
        out = &out[conv->out_columns * channels];
    }
}
