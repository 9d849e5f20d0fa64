#include "en_pool.h"

/* The quotient, halves away from zero. */
static int32_t mean(int32_t sum, int32_t count)
{
    return (sum + ((sum > 0) ? (count / 2) : -(count / 2))) / count;
}

void en_pool_average_s8(const en_pool *pool, const int8_t *in, int8_t *out)
{
    for (int32_t row = 0; row < pool->out_rows; row++) {
        for (int32_t column = 0; column < pool->out_columns; column++) {
            const en_window window = en_pool_window(pool, row, column);
            const int32_t count = (window.bottom - window.top) * (window.right - window.left);
            for (int32_t channel = 0; channel < pool->channels; channel++) {
                int32_t sum = count * pool->offset;
                for (int32_t y = window.top; y < window.bottom; y++) {
                    const int8_t *from =
                        &in[(((y * pool->in_columns) + window.left) * pool->channels) + channel];
                    for (int32_t x = window.left; x < window.right; x++) {
                        sum += *from;
                        from = &from[pool->channels];
                    }
                }
                sum = mean(sum, count) - pool->offset;
                *out = (int8_t)en_min(en_max(sum, pool->low), pool->high);
                out = &out[1];
            }
        }
    }
}
