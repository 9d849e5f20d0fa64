#include "en_dot.h"

#include "en_requantize.h"

#if EN_DSP
#include "en_dsp.h"

/* int16 [terms / 4][even, odd][2]. */
static void unpack(const en_dot *dot, const int8_t *row, en_word *words)
{
    for (int32_t term = 0; term < dot->depth; term += 4) {
        uint32_t bytes = 0;
        if ((term + 4) <= dot->depth) {
            bytes = en_load_word(&row[term]);
        } else {
            (void)memcpy(&bytes, &row[term], (size_t)(dot->depth - term));
        }
        words[0] = en_even(bytes);
        words[1] = en_odd(bytes);
        words = &words[2];
    }
}

/* Four terms of two channels. */
static inline void four_terms(const int8_t **weight, const en_word **words, int32_t *sums)
{
    uint32_t w0;
    uint32_t w1;
    uint32_t even;
    uint32_t odd;
    __asm__("ldrd %0, %1, [%2], #8" : "=&r"(w0), "=&r"(w1), "+r"(*weight)::"memory");
    __asm__("ldrd %0, %1, [%2], #8" : "=&r"(even), "=&r"(odd), "+r"(*words)::"memory");
    sums[0] = en_two_products(en_even(w0), even, sums[0]);
    sums[1] = en_two_products(en_even(w1), even, sums[1]);
    sums[0] = en_two_products(en_odd(w0), odd, sums[0]);
    sums[1] = en_two_products(en_odd(w1), odd, sums[1]);
}

static void row_dsp(const en_dot *dot, const int8_t *row, int8_t *scratch, int8_t *out)
{
    const int8_t *weight = dot->weight;
    const en_pair *pair = dot->pairs;
    const en_word *words = (const en_word *)(const void *)scratch;
    const en_word *end = &words[dot->terms / 2];
    unpack(dot, row, (en_word *)(void *)scratch);
    for (int32_t channel = 0; channel < dot->channels; channel += 2) {
        int32_t sums[2] = {pair->bias[0], pair->bias[1]};
        const en_word *a = words;
        if ((dot->terms & 4) != 0) {
            four_terms(&weight, &a, sums);
        }
        while (a != end) {
            four_terms(&weight, &a, sums);
            four_terms(&weight, &a, sums);
        }
        for (int32_t half = 0; (half < 2) && ((channel + half) < dot->channels); half++) {
            out[channel + half] = en_factored_code(
                sums[half], en_factors_of(pair->multiplier[half], pair->right[half]), dot->range);
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
