/* PAD: rows and columns of one code around a map. */
#ifndef EN_PAD_S8_H
#define EN_PAD_S8_H

#include "en_common.h"

EN_BEGIN

typedef struct {
    int32_t rows; /* of the input */
    int32_t row_bytes;
    int32_t top; /* bytes before, between and behind the rows */
    int32_t left;
    int32_t right;
    int32_t bottom;
    int32_t code;
} en_pad;

void en_pad_s8(const en_pad *pad, const int8_t *in, int8_t *out);

EN_END

#endif
