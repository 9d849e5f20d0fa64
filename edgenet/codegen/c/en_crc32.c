#include "en_crc32.h"

uint32_t en_crc32(uint32_t crc, const int8_t *bytes, int32_t size)
{
    uint32_t value = ~crc;
    for (int32_t index = 0; index < size; index++) {
        value ^= (uint8_t)bytes[index];
        for (int32_t bit = 0; bit < 8; bit++) {
            const uint32_t odd = value & 1U;
            value >>= 1;
            value ^= (odd != 0U) ? 0xEDB88320U : 0U;
        }
    }
    return ~value;
}
