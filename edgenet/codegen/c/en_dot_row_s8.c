#include "en_dot.h"

#include "en_requantize.h"

#if EN_DSP
#include "en_dsp.h"

/* int16 [terms / 4][even, odd][2], each twice the code. */
static void unpack(const en_dot *dot, const int8_t *row, uint32_t *words)
{
    for (int32_t term = 0; term < dot->depth; term += 4) {
        uint32_t bytes = 0;
        if ((term + 4) <= dot->depth) {
            bytes = en_load_word(&row[term]);
        } else {
            (void)memcpy(&bytes, &row[term], (size_t)(dot->depth - term));
        }
        words[0] = en_double(en_even(bytes));
        words[1] = en_double(en_odd(bytes));
        words = &words[2];
    }
}

/* SMMULR of twice the sum is the first rounding. */
static int8_t code(int32_t twice, int32_t multiplier, int32_t right, en_range range)
{
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(twice), "r"(multiplier));
    high = en_divide_by_power(high, right) + range.zero_point;
    return (int8_t)en_min(en_max(high, range.low), range.high);
}

static void row_dsp(const en_dot *dot, const int8_t *row, int8_t *scratch, int8_t *out)
{
    const int8_t *weight = dot->weight;
    const en_pair *pair = dot->pairs;
    uint32_t *words = (uint32_t *)(void *)scratch;
    unpack(dot, row, words);
    for (int32_t channel = 0; channel < dot->channels; channel += 2) {
        int32_t first = 2 * pair->bias[0];
        int32_t second = 2 * pair->bias[1];
        const uint32_t *a = words;
        const uint32_t *end = &words[dot->terms / 2];
        while (a != end) {
            const uint32_t w0 = en_load_word(weight);
            const uint32_t w1 = en_load_word(&weight[4]);
            const uint32_t even = a[0];
            const uint32_t odd = a[1];
            first = en_two_products(en_even(w0), even, first);
            second = en_two_products(en_even(w1), even, second);
            first = en_two_products(en_odd(w0), odd, first);
            second = en_two_products(en_odd(w1), odd, second);
            a = &a[2];
            weight = &weight[8];
        }
        out[channel] = code(first, pair->multiplier[0], pair->right[0], dot->range);
        if ((channel + 1) < dot->channels) {
            out[channel + 1] = code(second, pair->multiplier[1], pair->right[1], dot->range);
        }
        pair = &pair[1];
    }
}
#endif

void en_dot_row_s8(const en_dot *dot, const int8_t *row, int8_t *scratch, int8_t *out)
{
    const int8_t *weight = dot->weight;
    const en_pair *pair = dot->pairs;
#if EN_DSP
    if (dot->fast != 0) {
        row_dsp(dot, row, scratch, out);
        return;
    }
#endif
    (void)memcpy(scratch, row, (size_t)dot->depth);
    (void)memset(&scratch[dot->depth], 0, (size_t)(dot->terms - dot->depth));
    for (int32_t channel = 0; channel < dot->channels; channel += 2) {
        int32_t first = 0;
        int32_t second = 0;
        for (int32_t start = 0; start < dot->terms; start += 4) {
            for (int32_t term = 0; term < 4; term++) {
                first += weight[term] * scratch[start + term];
                second += weight[term + 4] * scratch[start + term];
            }
            weight = &weight[8];
        }
        out[channel] = en_code(first + pair->bias[0], pair->multiplier[0], pair->right[0],
                               dot->range);
        if ((channel + 1) < dot->channels) {
            out[channel + 1] = en_code(second + pair->bias[1], pair->multiplier[1],
                                       pair->right[1], dot->range);
        }
        pair = &pair[1];
    }
}
