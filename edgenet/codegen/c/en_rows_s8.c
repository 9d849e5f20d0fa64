#include "en_rows_s8.h"

typedef struct {
    int32_t held[EN_ROWS_MOST]; /* rows in a layer's window; so many are passed over if below 0 */
    int32_t made[EN_ROWS_MOST]; /* rows of its output */
    int32_t taken;              /* rows of the chain's input */
} progress;

static void copy_row(int8_t *EN_RESTRICT to, const int8_t *EN_RESTRICT from, int32_t count)
{
    for (; count >= 16; count -= 16) {
        (void)memcpy(to, from, 16); /* a constant size: four words, no call */
        to = &to[16];
        from = &from[16];
    }
    for (; count > 0; count--) {
        *to = *from;
        to = &to[1];
        from = &from[1];
    }
}

/* Where the next row of a layer's input goes; rows above the map come before the first. */
static int8_t *slot(const en_rows_stage *stage, int32_t held, int32_t first, int8_t *arena)
{
    int8_t *window = &arena[stage->window];
    if (first != 0) {
        (void)memset(window, stage->code, (size_t)(stage->pad_top * stage->row_bytes));
    }
    return &window[en_max(held, 0) * stage->row_bytes];
}

/* A row of the chain's input, or of padding, where the layer before makes none. */
static void feed(const en_rows *rows, int32_t index, progress *now, int8_t *arena)
{
    const en_rows_stage *stage = &rows->stages[index];
    const int32_t from_map = (index == 0) && (now->taken < stage->in_rows);
    int8_t *to = slot(stage, now->held[index], from_map && (now->taken == 0), arena);
    if (from_map != 0) {
        copy_row(to, &arena[rows->in + (now->taken * stage->row_bytes)], stage->row_bytes);
        now->taken++;
    } else {
        (void)memset(to, stage->code, (size_t)stage->row_bytes);
    }
    now->held[index]++;
}

/* A row of a layer's output; the window moves on. */
static void make(const en_rows *rows, int32_t index, en_rows_call call, progress *now,
                 int8_t *arena)
{
    const en_rows_stage *stage = &rows->stages[index];
    const int32_t made = now->made[index];
    const int32_t bytes = stage->row_bytes;
    int8_t *out = &arena[rows->out + (made * rows->out_row_bytes)];
    if ((index + 1) < rows->count) {
        out = slot(&stage[1], now->held[index + 1], made == 0, arena);
        now->held[index + 1]++;
    }
    now->made[index]++;
    if (stage->window < 0) {
        call(arena, index, &arena[rows->in + (made * stage->row_stride * bytes)], out);
        return;
    }
    int8_t *window = &arena[stage->window];
    call(arena, index, window, out);
    for (int32_t row = stage->row_stride; row < stage->kernel_rows; row++) {
        copy_row(&window[(row - stage->row_stride) * bytes], &window[row * bytes], bytes);
    }
    now->held[index] -= stage->row_stride;
}

void en_rows_s8(const en_rows *rows, en_rows_call call, int8_t *arena)
{
    const en_rows_stage *stages = rows->stages;
    const int32_t last = rows->count - 1;
    int32_t index = last;
    progress now;
    now.taken = 0;
    for (int32_t each = 0; each <= last; each++) {
        now.held[each] = stages[each].pad_top;
        now.made[each] = 0;
    }
    while (now.made[last] < stages[last].out_rows) {
        if ((stages[index].window < 0) || (now.held[index] >= stages[index].kernel_rows)) {
            make(rows, index, call, &now, arena);
            index = en_min(index + 1, last);
        } else if ((index == 0) || (now.made[index - 1] == stages[index - 1].out_rows)) {
            feed(rows, index, &now, arena);
        } else {
            index--;
        }
    }
}
