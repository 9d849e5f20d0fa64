#include "en_depthwise_s8.h"

/* More kernel rows than any network has; the packer refuses those. */
#define MOST_ROWS 16

/* Rows of padding: the zero point, which the columns beside a row keep for good. */
static void blank(const en_depthwise *conv, int8_t *to, int32_t codes)
{
#if EN_DSP
    if (conv->fast != 0) {
        const uint32_t half = (uint16_t)conv->in_zero_point;
        const uint32_t both = half | (half << 16);
        en_word *words = (en_word *)(void *)to;
        const en_word *end = &words[codes / 2];
        while ((end - words) >= 8) {
            words[0] = both;
            words[1] = both;
            words[2] = both;
            words[3] = both;
            words[4] = both;
            words[5] = both;
            words[6] = both;
            words[7] = both;
            words = &words[8];
        }
        while (words != end) {
            *words = both;
            words = &words[1];
        }
        return;
    }
#endif
    (void)memset(to, conv->in_zero_point, (size_t)codes);
}

#if EN_DSP
/* All rows at once, so that a channel's weights are loaded once. */
static void whole(const en_depthwise *conv, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const int32_t row_codes = conv->block * conv->ring_columns;
    const int32_t covered = ((conv->out_rows - 1) * conv->row_stride) + conv->kernel_rows;
    const int8_t *rows[3];
    blank(conv, &scratch[6 * row_codes], (covered - 3) * row_codes);
    for (int32_t y = 0; y < en_min(conv->in_rows, covered - conv->pad_top); y++) {
        en_depthwise_fill_s8(conv, &in[y * conv->in_columns * conv->in_channels],
                             &scratch[(y + conv->pad_top) * row_codes * 2]);
    }
    for (int32_t y = 0; y < 3; y++) {
        rows[y] = &scratch[y * row_codes * 2];
    }
    en_depthwise_rows_s8(conv, rows, conv->out_rows, out);
}
#endif

/* The channels of a block. */
static void block(const en_depthwise *conv, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const int32_t row_codes = conv->block * conv->ring_columns;
    const int32_t row_bytes = row_codes * ((EN_DSP && (conv->fast != 0)) ? 2 : 1);
    const int32_t line = conv->out_columns * conv->in_channels * conv->depth_multiplier;
    const int8_t *rows[MOST_ROWS];
    int32_t filled = 0; /* rows that went into the ring so far; padding above the map counts */
    int32_t slot = 0;   /* where the next of them goes */
#if EN_DSP
    if ((conv->fast != 0) && (conv->whole != 0)) {
        whole(conv, in, out, scratch);
        return;
    }
#endif
    for (int32_t row = 0; row < conv->out_rows; row++) {
        const int32_t first = row * conv->row_stride;
        while (filled < (first + conv->kernel_rows)) {
            const int32_t y = filled - conv->pad_top;
            int8_t *to = &scratch[slot * row_bytes];
            if (y >= conv->in_rows) {
                blank(conv, to, row_codes);
            } else if ((y >= 0) && (filled >= first)) {
                en_depthwise_fill_s8(conv, &in[y * conv->in_columns * conv->in_channels], to);
            } else {
                /* above the map, or never covered */
            }
            filled++;
            slot = (slot == (conv->kernel_rows - 1)) ? 0 : (slot + 1);
        }
        /* the slot that comes next holds the oldest row, the first of those covered */
        for (int32_t y = 0; y < conv->kernel_rows; y++) {
            const int32_t at = slot + y;
            rows[y] = &scratch[((at < conv->kernel_rows) ? at : (at - conv->kernel_rows)) *
                               row_bytes];
        }
        en_depthwise_rows_s8(conv, rows, 1, out);
        out = &out[line];
    }
}

void en_depthwise_s8(const en_depthwise *conv, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const int32_t outputs = conv->block * conv->depth_multiplier;
    en_depthwise part = *conv;
    for (int32_t first = 0; first < conv->in_channels; first += conv->block) {
        part.block = en_min(conv->block, conv->in_channels - first);
        /* a single row leaves the columns beside it as they are */
        if ((first == 0) || (conv->out_rows > 1) || (conv->pad_top > 0)) {
            blank(&part, scratch, conv->kernel_rows * part.block * conv->ring_columns);
        }
        block(&part, &in[first], &out[first * conv->depth_multiplier], scratch);
        part.weight = &part.weight[outputs * conv->kernel_rows * conv->kernel_columns];
        part.pairs = &part.pairs[outputs / 2];
    }
}
