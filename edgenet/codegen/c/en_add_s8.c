#include "en_add_s8.h"

#include "en_requantize.h"

static int32_t scaled(const en_add *add, int32_t input, int32_t code)
{
    const int32_t lifted = (code - add->zero_point[input]) * ((int32_t)1 << add->left_shift);
    return en_requantize(lifted, add->multiplier[input], add->right[input]);
}

void en_add_s8(const en_add *add, const int8_t *first, const int8_t *second, int8_t *out)
{
    for (int32_t index = 0; index < add->size; index++) {
        const int32_t sum = scaled(add, 0, first[index]) + scaled(add, 1, second[index]);
        out[index] = en_code(sum, add->out_multiplier, add->out_right, add->range);
    }
}
