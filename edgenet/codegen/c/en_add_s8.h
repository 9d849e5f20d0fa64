/* ADD of two maps of one shape.  The output may lie at the start of either input. */
#ifndef EN_ADD_S8_H
#define EN_ADD_S8_H

#include "en_common.h"

EN_BEGIN

typedef struct {
    int32_t size;
    int32_t left_shift; /* bits that keep precision while the inputs are brought to one scale */
    int32_t zero_point[2];
    int32_t multiplier[2];
    int32_t right[2];
    int32_t out_multiplier;
    int32_t out_right;
    en_range range;
    int32_t tables; /* there is scratch for what each code of each input counts for */
    int32_t fast;   /* as in en_common.h, of the output */
} en_add;

/* scratch: 2048 bytes, aligned to 4, if tables. */
void en_add_s8(const en_add *add, const int8_t *first, const int8_t *second, int8_t *out,
               int8_t *scratch);

EN_END

#endif
