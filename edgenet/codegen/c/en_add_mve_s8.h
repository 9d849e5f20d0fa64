/* en_add_s8 for MVE. */
#ifndef EN_ADD_MVE_S8_H
#define EN_ADD_MVE_S8_H

#include "en_common.h"

EN_BEGIN

typedef struct {
    int32_t size;
    int32_t lift; /* 2^bits, which keep precision while the inputs are brought to one scale */
    int32_t offset[2]; /* of the inputs: the zero point, lifted and negative */
    int32_t multiplier[2];
    int32_t left[2]; /* 0 to -31, bits that a product is shifted to the left by */
    int32_t out_multiplier;
    int32_t out_left; /* -1 to -31 */
    en_range range;
} en_add_mve;

#if EN_MVE
void en_add_mve_s8(const en_add_mve *add, const int8_t *first, const int8_t *second, int8_t *out);
#endif

EN_END

#endif
