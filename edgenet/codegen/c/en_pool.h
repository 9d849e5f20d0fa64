/* AVERAGE_POOL_2D and MAX_POOL_2D; what the window covers beyond the map counts for neither. */
#ifndef EN_POOL_H
#define EN_POOL_H

#include "en_common.h"

EN_BEGIN

typedef struct {
    int32_t in_rows;
    int32_t in_columns;
    int32_t channels;
    int32_t out_rows;
    int32_t out_columns;
    int32_t window_rows;
    int32_t window_columns;
    int32_t row_stride;
    int32_t column_stride;
    int32_t pad_top;
    int32_t pad_left;
    int32_t low;
    int32_t high;
    int32_t offset; /* added to codes while a mean is rounded: 128 where they were uint8, else 0 */
} en_pool;

/* What of a window lies on the map: rows from top up to, without, bottom; columns the same. */
typedef struct {
    int32_t top;
    int32_t bottom;
    int32_t left;
    int32_t right;
} en_window;

static inline en_window en_pool_window(const en_pool *pool, int32_t row, int32_t column)
{
    const int32_t y = (row * pool->row_stride) - pool->pad_top;
    const int32_t x = (column * pool->column_stride) - pool->pad_left;
    en_window window;
    window.top = en_max(y, 0);
    window.bottom = en_min(y + pool->window_rows, pool->in_rows);
    window.left = en_max(x, 0);
    window.right = en_min(x + pool->window_columns, pool->in_columns);
    return window;
}

void en_pool_average_s8(const en_pool *pool, const int8_t *in, int8_t *out);
void en_pool_max_s8(const en_pool *pool, const int8_t *in, int8_t *out);

EN_END

#endif
