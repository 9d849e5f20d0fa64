/* The core of every convolution but the depthwise one: scalar products of pixels and channels.
 *
 * A pixel here is a row of int8 terms: the channels of a 1x1 convolution, the patch that a larger
 * kernel covers, the input of a fully connected layer.  Four pixels at a time are laid out as a
 * quad, so that one pass through the weights of two channels serves all four:
 *
 *   portable  int8   [terms / 4][pixel][4]
 *   DSP       int16  [terms / 4][even, odd][pixel][2]
 *
 * where even are terms 0 and 2 of four, odd are 1 and 3, as SXTB16 unpacks them. */
#ifndef EN_DOT_H
#define EN_DOT_H

#include "en_common.h"

EN_BEGIN

typedef struct {
    const int8_t *weight; /* [channel / 2][terms / 4][channel of two][4], aligned to 4 */
    const en_pair *pairs; /* [channel / 2]; zero points of the input are in the bias */
    int32_t depth;        /* terms that there are */
    int32_t terms;        /* the same, filled up to a multiple of 4 with weights of 0 */
    int32_t channels;     /* of the output */
    en_range range;
    int32_t fast; /* EN_SLOW, ... */
} en_dot;

/* Lay bytes of four rows out, as many words as they fill, the last filled up with 0; where the
 * quad goes on. */
int8_t *en_dot_fill_s8(const en_dot *dot, const int8_t *const *rows, int32_t bytes, int8_t *quad);

/* Constants as the DSP flavour reads them, channel pair by channel pair: biases, weights as int16
 * [terms / 4][even, odd][channel of two][2], factors (en_factors of en_dsp.h): 4 * terms + 24
 * bytes a pair.  Where that is, or NULL where this flavour works without or the plan has no room,
 * room being 0. */
const int8_t *en_dot_unpack_s8(const en_dot *dot, int32_t room, int8_t *to);

/* Codes of the four pixels of a quad, dot->channels each, with what en_dot_unpack_s8 gave.  The
 * output may lie where the rows came from, but not where the quad is. */
void en_dot_quad_s8(const en_dot *dot, const int8_t *unpacked, const int8_t *quad,
                    int8_t *out);

/* Codes of one row, which takes 2 * terms bytes of scratch.  The output may lie on the row. */
void en_dot_row_s8(const en_dot *dot, const int8_t *row, int8_t *scratch, int8_t *out);

EN_END

#endif
