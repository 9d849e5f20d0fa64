#include "en_image_row.h"

static en_image_pixel pixel_of(const uint8_t *bytes)
{
    return en_image_expand(bytes[0] | ((uint32_t)bytes[1] << 8));
}

void en_image_rgb565(en_image *image, const uint8_t *row)
{
    en_image_add(image, row, 2, pixel_of);
}
