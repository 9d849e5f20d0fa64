#include "en_image_row.h"

static uint32_t pixel_of(const uint8_t *pixel)
{
    return ((uint32_t)pixel[0] << 16) | ((uint32_t)pixel[1] << 8) | pixel[2];
}

void en_image_rgb888(en_image *image, const uint8_t *row)
{
    en_image_add(image, row, 3, pixel_of);
}
