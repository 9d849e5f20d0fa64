/* A chain of layers run row by row: what lies between two of them is never whole.  Each layer has a
 * window, the rows of its input that one row of its output covers; no row is computed twice. */
#ifndef EN_ROWS_S8_H
#define EN_ROWS_S8_H

#include "en_common.h"

EN_BEGIN

#define EN_ROWS_MOST 9 /* layers in a chain */

typedef struct {
    int32_t window; /* where in the arena; -1: the first layer reads the chain's input itself */
    int32_t row_bytes;
    int32_t in_rows;
    int32_t out_rows;
    int32_t kernel_rows; /* of the window */
    int32_t row_stride;
    int32_t pad_top;
    int32_t code; /* what padding holds */
} en_rows_stage;

typedef struct {
    const en_rows_stage *stages;
    int32_t count;
    int32_t in; /* where in the arena */
    int32_t out;
    int32_t out_row_bytes;
} en_rows;

/* One row of a layer's output from a window. */
typedef void (*en_rows_call)(int8_t *arena, int32_t stage, const int8_t *window, int8_t *out);

void en_rows_s8(const en_rows *rows, en_rows_call call, int8_t *arena);

EN_END

#endif
