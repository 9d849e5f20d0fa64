/* Any function of one code, from a table: RELU, RELU6, and QUANTIZE from int8 to int8.  The output
 * may lie at the input's start. */
#ifndef EN_TABLE_S8_H
#define EN_TABLE_S8_H

#include "en_common.h"

EN_BEGIN

typedef struct {
    const int8_t *codes; /* of the inputs -128 to 127 */
    int32_t size;
} en_table;

void en_table_s8(const en_table *table, const int8_t *in, int8_t *out);

EN_END

#endif
