/* The core of the convolutions for MVE: scalar products of pixels and channels.
 *
 * VMLADAVA multiplies sixteen codes by sixteen weights and adds all products to a register.  Three
 * pixels by two channels fill six registers: 5 loads, 6 multiplications and the end of the loop for
 * 96 products.  The sums of four channels then go into one vector for each pixel. */
#ifndef EN_DOT_MVE_H
#define EN_DOT_MVE_H

#include "en_mve.h"

EN_BEGIN

typedef struct {
    const int8_t *weight; /* [channel / 4][0 and 2, 1 and 3][terms / 16][channel of two][16] */
    const en_quad *quads; /* [channel / 4]; zero points of the input are in the bias */
    int32_t depth;        /* terms that there are */
    int32_t terms;        /* the same, filled up to a multiple of 16 with weights of 0 */
    int32_t channels;     /* of the output */
    en_range range;
    int32_t relu; /* the least code is the zero point: halves of negative numbers need no care */
} en_dot_mve;

#if EN_MVE

/* Codes of one, two or three rows, terms bytes from one to the next, dot->channels each.  The output
 * may lie where the pixels came from, but not where the rows are. */
void en_dot_mve_s8(const en_dot_mve *dot, int32_t pixels, const int8_t *rows, int8_t *out);

/* Codes of groups of three pixels of at most 16 terms, which are read before anything is written:
 * rows are depth bytes apart and may lie under the output.  Less than no groups: so many, the last of
 * which rows and out point to first. */
void en_dot_short_mve_s8(const en_dot_mve *dot, const int8_t *rows, int8_t *out, int32_t groups);

#endif

EN_END

#endif
