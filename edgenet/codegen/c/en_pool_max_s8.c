#include "en_pool.h"

void en_pool_max_s8(const en_pool *pool, const int8_t *in, int8_t *out)
{
    for (int32_t row = 0; row < pool->out_rows; row++) {
        for (int32_t column = 0; column < pool->out_columns; column++) {
            const en_window window = en_pool_window(pool, row, column);
            for (int32_t channel = 0; channel < pool->channels; channel++) {
                int32_t most = pool->low;
                for (int32_t y = window.top; y < window.bottom; y++) {
                    const int8_t *from =
                        &in[(((y * pool->in_columns) + window.left) * pool->channels) + channel];
                    for (int32_t x = window.left; x < window.right; x++) {
                        most = en_max(most, *from);
                        from = &from[pool->channels];
                    }
                }
                *out = (int8_t)en_min(most, pool->high);
                out = &out[1];
            }
        }
    }
}
