/* CRC-32 of IEEE 802.3, as zlib computes it: 0 to begin with. */
#ifndef EN_CRC32_H
#define EN_CRC32_H

#include "en_common.h"

EN_BEGIN

uint32_t en_crc32(uint32_t crc, const int8_t *bytes, int32_t size);

EN_END

#endif
