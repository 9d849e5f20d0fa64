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
        const int32_t pairs = (dot->channels + 1) / 2;
        const int8_t *end = &weight[pairs * 2 * dot->terms];
        uint32_t *words = (uint32_t *)(void *)to;
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
        result = to;
    }
#else
    (void)dot;
    (void)room;
    (void)to;
#endif
    return result;
}
