#include "en_image_row.h"

static uint32_t pixel_of(const uint8_t *pixel)
{
    return en_image_expand(pixel[0] | ((uint32_t)pixel[1] << 8));
}

void en_image_rgb565(en_image *image, const uint8_t *row)
{
    en_image_add(image, row, 2, pixel_of);
}
