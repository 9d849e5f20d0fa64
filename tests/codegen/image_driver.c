/* Turns frames into inputs as a file says, so that tests choose the sizes: in.bin or the first
 * argument, results to out.bin or the second.  Every buffer is its own allocation, for sanitizers to
 * see where it ends.  Numbers are int32, little-endian; a record is
 *
 *   kind, fit, height, width, channels, table (size, bytes), frame width, frame height, stride,
 *   pixels (size, bytes)
 *
 * where the table's first byte says whether the others are used, and its result what en_image_begin
 * says, then the input's bytes. */
#include "en_image.h"

#include <stdio.h>
#include <stdlib.h>

static FILE *in;

static int32_t number(void)
{
    int32_t value = 0;
    if (fread(&value, sizeof value, 1, in) != 1) {
        exit(0);
    }
    return value;
}

static void *sized(size_t size)
{
    void *found = malloc((size > 0U) ? size : 1U);
    if (!found) {
        exit(4);
    }
    (void)memset(found, 0x55, size);
    return found;
}

static void *bytes(void)
{
    const size_t size = (size_t)number();
    void *found = sized(size);
    if (fread(found, 1, size, in) != size) {
        exit(5);
    }
    return found;
}

typedef void row_function(en_image *image, const uint8_t *row);

static row_function *const KINDS[] = {en_image_rgb565, en_image_rgb565_swapped, en_image_rgb888,
                                      en_image_grey};

static void record(FILE *out)
{
    row_function *add = KINDS[number()];
    en_image_contract contract = {0, 0, 0, 0, NULL};
    contract.fit = number();
    contract.height = number();
    contract.width = number();
    contract.channels = number();
    int8_t *codes = (int8_t *)bytes();
    contract.codes = (codes[0] != 0) ? &codes[1] : NULL;
    const int32_t width = number();
    const int32_t height = number();
    const int32_t stride = number();
    uint8_t *pixels = (uint8_t *)bytes();
    const size_t size = (size_t)(contract.height * contract.width * contract.channels);
    int8_t *input = (int8_t *)sized(size);
    int8_t *scratch = (int8_t *)sized((size_t)EN_IMAGE_SCRATCH(contract.width, contract.channels));
    en_image image;
    const int32_t refused = en_image_begin(&image, &contract, input, scratch, width, height);
    for (int32_t row = 0; (row < height) && (refused == 0); row++) {
        add(&image, &pixels[row * stride]);
    }
    (void)fwrite(&refused, sizeof refused, 1, out);
    (void)fwrite(input, 1, size, out);
    (void)fflush(out);
    free(codes);
    free(pixels);
    free(input);
    free(scratch);
}

int main(int argc, char **argv)
{
    in = fopen((argc > 1) ? argv[1] : "in.bin", "rb");
    FILE *out = fopen((argc > 2) ? argv[2] : "out.bin", "wb");
    if (!in || !out) {
        return 3;
    }
    for (;;) {
        record(out);
    }
}
