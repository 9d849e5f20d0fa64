#include "en_mean_s8.h"

#include "en_requantize.h"

void en_mean_s8(const en_mean *mean, const int8_t *in, int8_t *out)
{
    for (int32_t channel = 0; channel < mean->channels; channel++) {
        const int8_t *from = &in[channel];
        int32_t sum = mean->bias;
        for (int32_t pixel = 0; pixel < mean->pixels; pixel++) {
            sum += *from;
            from = &from[mean->channels];
        }
        out[channel] = en_code(sum, mean->multiplier, mean->right, mean->range);
    }
}
