/* What the four kinds of rows share. */
#ifndef EN_IMAGE_ROW_H
#define EN_IMAGE_ROW_H

#include "en_image.h"

EN_BEGIN

#if defined(__GNUC__)
#define EN_IMAGE_INLINE static inline __attribute__((always_inline))
#else
#define EN_IMAGE_INLINE static inline
#endif

/* Whether the row that is next is in a box; it counts as seen. */
int32_t en_image_wanted(en_image *image);

/* The row has been added to the sums. */
void en_image_added(en_image *image);

typedef struct {
    uint32_t red;
    uint32_t green;
    uint32_t blue;
} en_image_pixel;

typedef en_image_pixel en_image_reader(const uint8_t *bytes);

/* As OpenCV turns colours to grey. */
EN_IMAGE_INLINE uint32_t en_image_luma(en_image_pixel of)
{
    return ((9798U * of.red) + (19235U * of.green) + (3735U * of.blue) + 16384U) >> 15;
}

/* Add a row of pixels, each of some bytes, to the sums. */
EN_IMAGE_INLINE void en_image_add(en_image *image, const uint8_t *row, int32_t bytes,
                                  en_image_reader *read)
{
    if (en_image_wanted(image) == 0) {
        return;
    }
    const int32_t boxes = image->columns.boxes;
    const int32_t width = image->columns.box;
    const uint8_t *pixel = &row[bytes * image->columns.first];
    en_word *sum = image->sums;
    if (image->contract->channels == 1) {
        for (int32_t box = 0; box < boxes; box++) {
            uint32_t grey = 0;
            for (int32_t column = 0; column < width; column++) {
                grey += en_image_luma(read(pixel));
                pixel += bytes;
            }
            sum[0] += grey;
            sum += 1;
        }
    } else {
        for (int32_t box = 0; box < boxes; box++) {
            en_image_pixel total = read(pixel);
            pixel += bytes;
            for (int32_t column = 1; column < width; column++) {
                const en_image_pixel one = read(pixel);
                total.red += one.red;
                total.green += one.green;
                total.blue += one.blue;
                pixel += bytes;
            }
            sum[0] += total.red;
            sum[1] += total.green;
            sum[2] += total.blue;
            sum += 3;
        }
    }
    en_image_added(image);
}

/* A pixel of 5, 6 and 5 bits. */
EN_IMAGE_INLINE en_image_pixel en_image_expand(uint32_t word)
{
    const uint32_t red = word >> 11;
    const uint32_t green = (word >> 5) & 63U;
    const uint32_t blue = word & 31U;
    const en_image_pixel found = {(red << 3) | (red >> 2), (green << 2) | (green >> 4),
                                  (blue << 3) | (blue >> 2)};
    return found;
}

EN_END

#endif
