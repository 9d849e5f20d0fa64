#include "en_dot.h"

#if EN_DSP
#include "en_dsp.h"
#endif

const int8_t *en_dot_unpack_s8(const en_dot *dot, int32_t room, int8_t *to)
{
    const int8_t *result = NULL;
#if EN_DSP
    if ((room != 0) && (dot->fast != 0)) {
        const int8_t *weight = dot->weight;
        en_word *words = (en_word *)(void *)to;
        const en_pair *given = dot->pairs;
        const int32_t terms = dot->terms;
        for (int32_t channel = dot->channels; channel > 0; channel -= 2) {
            const int8_t *end = &weight[2 * terms];
            words[0] = (uint32_t)given->bias[0];
            words[1] = (uint32_t)given->bias[1];
            words = &words[2];
            while (weight != end) {
                const uint32_t first = en_load_word(weight);
                const uint32_t second = en_load_word(&weight[4]);
                words[0] = en_even(first);
                words[1] = en_even(second);
                words[2] = en_odd(first);
                words[3] = en_odd(second);
                words = &words[4];
                weight = &weight[8];
            }
            for (int32_t half = 0; half < 2; half++) {
                const en_factors factors =
                    en_factors_of(given->multiplier[half], given->right[half]);
                words[half] = (uint32_t)factors.first;
                words[2 + half] = (uint32_t)factors.second;
            }
            words = &words[4];
            given = &given[1];
        }
        result = to;
    }
#else
    (void)dot;
    (void)room;
    (void)to;
#endif
    return result;
}
