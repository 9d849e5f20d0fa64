#include "en_add_s8.h"

#include "en_requantize.h"

#if EN_DSP
#include "en_dsp.h"
#endif

static int32_t scaled(const en_add *add, int32_t input, int32_t code)
{
    const int32_t lifted = (code - add->zero_point[input]) * ((int32_t)1 << add->left_shift);
    return en_requantize(lifted, add->multiplier[input], add->right[input]);
}

/* What each code of an input counts for, from that of -128 on. */
static void tabulate(const en_add *add, int32_t input, en_number *table)
{
    for (int32_t code = -128; code < 128; code++) {
        table[code + 128] = scaled(add, input, code);
    }
}

/* The same sums, looked up. */
static void add_tables(const en_add *add, const int8_t *first, const int8_t *second, int8_t *out,
                       en_number *tables)
{
    const en_number *of_first = &tables[128];
    const en_number *of_second = &tables[128 + 256];
    const int8_t *end = &out[add->size];
    const int32_t zero_point = add->range.zero_point;
    const int32_t low = add->range.low;
    const int32_t high = add->range.high;
#if EN_DSP
    const en_factors factors = en_factors_of(add->out_multiplier, add->out_right);
#else
    const int32_t multiplier = add->out_multiplier;
    const int32_t right = add->out_right;
    const int32_t half = (int32_t)1 << (right - 1);
#endif
    tabulate(add, 0, tables);
    tabulate(add, 1, &tables[256]);
    while (out != end) {
        int32_t code = of_first[*first] + of_second[*second];
#if EN_DSP
        code = en_add_high(code, factors.first, code);
        code = en_add_high(code + (code >> 31), factors.second, zero_point);
#else
        code = en_high_of_twice(2 * code, multiplier);
        code = ((code + (code >> 31) + half) >> right) + zero_point;
#endif
        *out = (int8_t)en_min(en_max(code, low), high);
        first = &first[1];
        second = &second[1];
        out = &out[1];
    }
}

void en_add_s8(const en_add *add, const int8_t *first, const int8_t *second, int8_t *out,
               int8_t *scratch)
{
    if ((add->tables != 0) && (add->fast != EN_SLOW)) {
        add_tables(add, first, second, out, (en_number *)(void *)scratch);
        return;
    }
    for (int32_t index = 0; index < add->size; index++) {
        const int32_t sum = scaled(add, 0, first[index]) + scaled(add, 1, second[index]);
        out[index] = en_code(sum, add->out_multiplier, add->out_right, add->range);
    }
}
