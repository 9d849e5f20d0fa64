/* SOFTMAX along the last axis; codes of scale 1/256 from -128 on.  The output may lie at the
 * input's start. */
#ifndef EN_SOFTMAX_S8_H
#define EN_SOFTMAX_S8_H

#include "en_common.h"

EN_BEGIN

typedef struct {
    const int32_t *exponentials; /* Q0.31, of the differences -255 to 0 to the largest code */
    int32_t rows;
    int32_t depth;
} en_softmax;

void en_softmax_s8(const en_softmax *softmax, const int8_t *in, int8_t *out);

EN_END

#endif
