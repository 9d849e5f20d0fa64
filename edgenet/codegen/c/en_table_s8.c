#include "en_table_s8.h"

void en_table_s8(const en_table *table, const int8_t *in, int8_t *out)
{
    for (int32_t index = 0; index < table->size; index++) {
        out[index] = table->codes[in[index] + 128];
    }
}
