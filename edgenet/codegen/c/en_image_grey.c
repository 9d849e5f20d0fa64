#include "en_image_row.h"

static uint32_t pixel_of(const uint8_t *pixel)
{
    return 0x010101U * pixel[0];
}

void en_image_grey(en_image *image, const uint8_t *row)
{
    en_image_add(image, row, 1, pixel_of);
}
