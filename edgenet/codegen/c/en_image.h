/* A camera's frame as a model's input, row by row, in integers only: edgenet/resize.py and
 * edgenet/image.py to the last bit.
 *
 * Each axis is shrunk by averages over boxes of whole pixels, rounded half up, and what is left is
 * resized by OpenCV's INTER_LINEAR_EXACT.  No picture is kept on the way: a row of sums and two rows
 * that are resized across are. */
#ifndef EN_IMAGE_H
#define EN_IMAGE_H

#include "en_common.h"

EN_BEGIN

enum { EN_IMAGE_STRETCH = 0, EN_IMAGE_CENTER_CROP = 1, EN_IMAGE_LETTERBOX = 2 };

/* What the model wants. */
typedef struct {
    int32_t height; /* of its input, 1 to 1024 */
    int32_t width;
    int32_t channels; /* 3: R, G, B; 1: grey */
    int32_t fit;
    const int8_t *codes; /* of the 256 levels of each channel; NULL: the level less 128 */
} en_image_contract;

/* A scale is mantissa * 2^exponent, as a double has it. */
typedef struct {
    uint64_t mantissa;
    int32_t exponent;
} en_image_real;

/* One axis of a frame. */
typedef struct {
    int32_t first; /* pixel of the first box */
    int32_t box;   /* pixels in a box */
    int32_t boxes;
    int32_t offset; /* in the input, of the first pixel that is not padding */
    int32_t size;   /* that the boxes are resized to */
    en_image_real scale;
} en_image_axis;

/* Where a pixel of the input comes from: (256 - weight) of a box and weight of the next. */
typedef struct EN_MAY_ALIAS {
    uint16_t first;
    uint16_t weight;
} en_image_tap;

/* A frame on its way; the fields are en_image's own. */
typedef struct {
    const en_image_contract *contract;
    int8_t *input;
    en_word *sums;      /* (boxes + 1, channels) */
    en_half *lines;     /* (2, columns.size, channels), in 256ths */
    en_image_tap *taps; /* (columns.size) */
    en_image_axis rows;
    en_image_axis columns;
    uint32_t area;       /* pixels in a box */
    uint32_t reciprocal; /* 2^24 / area, rounded up */
    int32_t row;         /* of the frame, the next */
    int32_t line;        /* of boxes, the one that is summed */
    int32_t next;        /* row of the input, counted from the padding */
    en_image_tap tap;    /* of that row */
} en_image;

/* Bytes of scratch for frames of any size, aligned to 4. */
#define EN_IMAGE_SCRATCH(width, channels) (((12 * (channels)) + 4) * (width))

/* Begin a frame of width by height pixels.  0, or -1 if there is no such frame: a side is below 1 or
 * above 32767, or more than 2^23 pixels would be averaged. */
int32_t en_image_begin(en_image *image, const en_image_contract *contract, int8_t *input,
                       int8_t *scratch, int32_t width, int32_t height);

/* The next row of the frame, from the top: height of them.  After the last the input is whole.
 *
 * rgb565          uint16_t of a little-endian processor: the byte with green's lower bits first
 * rgb565_swapped  the byte with red first, as most cameras send it
 * rgb888          R, G, B
 * grey            one byte a pixel
 *
 * Five and six bits become eight by repeating the upper ones: 0 stays 0, 31 and 63 become 255. */
void en_image_rgb565(en_image *image, const uint8_t *row);
void en_image_rgb565_swapped(en_image *image, const uint8_t *row);
void en_image_rgb888(en_image *image, const uint8_t *row);
void en_image_grey(en_image *image, const uint8_t *row);

EN_END

#endif
