/* CONCATENATION, one input at a time: blocks of bytes to places a step apart. */
#ifndef EN_COPY_S8_H
#define EN_COPY_S8_H

#include "en_common.h"

EN_BEGIN

typedef struct {
    int32_t blocks;
    int32_t block_bytes;
    int32_t step;   /* from one place to the next */
    int32_t offset; /* of the first place */
} en_copy;

void en_copy_s8(const en_copy *copy, const int8_t *in, int8_t *out);

EN_END

#endif
