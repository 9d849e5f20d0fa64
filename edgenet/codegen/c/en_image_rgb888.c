#include "en_image_row.h"

static en_image_pixel pixel_of(const uint8_t *bytes)
{
    const en_image_pixel found = {bytes[0], bytes[1], bytes[2]};
    return found;
}

void en_image_rgb888(en_image *image, const uint8_t *row)
{
    en_image_add(image, row, 3, pixel_of);
}
