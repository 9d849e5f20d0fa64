/* The core of every convolution but the depthwise one: scalar products of pixels and channels.
 *
 * A pixel here is a row of int8 terms: the channels of a 1x1 convolution, the patch that a larger
 * kernel covers, the input of a fully connected layer.  Four pixels at a time are laid out as a
 * quad, so that one pass through the weights of two channels serves all four:
 *
 *   portable  int8   [terms / 4][pixel][4]
 *   DSP       int16  [terms / 4][even, odd][pixel][2], each twice the code
 *
 * where even are terms 0 and 2 of four, odd are 1 and 3, as SXTB16 unpacks them.  Twice the code
 * makes the sum twice what it is, and SMMULR of that with the multiplier is the first rounding. */
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
    int32_t fast; /* the DSP flavour is exact: twice every sum fits 32 bits, rights are 1 to 31 */
} en_dot;

/* Lay four rows, stride bytes from one to the next, out as a quad of 8 * terms bytes. */
void en_dot_fill_s8(const en_dot *dot, const int8_t *rows, int32_t stride, int8_t *quad);

/* All weights as the DSP flavour multiplies them, int16 [channel / 2][terms / 4][even, odd][channel
 * of two][2], into 2 * terms bytes a channel, an even number of channels; where that is, or NULL
 * where this flavour works without or the plan has no room, room being 0. */
const int8_t *en_dot_unpack_s8(const en_dot *dot, int32_t room, int8_t *to);

/* Codes of the four pixels of a quad, dot->channels each, with what en_dot_unpack_s8 gave.  The
 * output may lie where the rows came from, but not where the quad is. */
void en_dot_quad_s8(const en_dot *dot, const int8_t *unpacked, const int8_t *EN_RESTRICT quad,
                    int8_t *EN_RESTRICT out);

/* Codes of one row, which takes 2 * terms bytes of scratch.  The output may lie on the row. */
void en_dot_row_s8(const en_dot *dot, const int8_t *row, int8_t *scratch, int8_t *out);

EN_END

#endif
