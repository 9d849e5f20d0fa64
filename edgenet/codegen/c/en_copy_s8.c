#include "en_copy_s8.h"

void en_copy_s8(const en_copy *copy, const int8_t *in, int8_t *out)
{
    for (int32_t block = 0; block < copy->blocks; block++) {
        (void)memcpy(&out[copy->offset + (block * copy->step)], &in[block * copy->block_bytes],
                     (size_t)copy->block_bytes);
    }
}
