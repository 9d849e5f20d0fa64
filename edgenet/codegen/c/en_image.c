#include "en_image.h"

#include "en_image_row.h"

#define MANTISSA ((uint64_t)1 << 53)

/* numerator / denominator, rounded half up */
static int32_t divide(int32_t numerator, int32_t denominator)
{
    return ((2 * numerator) + denominator) / (2 * denominator);
}

/* a / b as doubles divide, for 0 < a, b <= 2^53: 53 bits, halves to even. */
static en_image_real quotient(uint64_t a, uint64_t b)
{
    en_image_real found = {0, -52};
    while (a < b) {
        a <<= 1;
        found.exponent--;
    }
    while ((a >> 1) >= b) {
        b <<= 1;
        found.exponent++;
    }
    for (int32_t bit = 0; bit < 53; bit++) {
        const uint64_t one = (a >= b) ? 1U : 0U;
        found.mantissa = (found.mantissa << 1) | one;
        a = (a - ((one != 0U) ? b : 0U)) << 1;
    }
    if ((a > b) || ((a == b) && ((found.mantissa & 1U) != 0U))) {
        found.mantissa++;
    }
    return found;
}

/* value / 2^bits, halves to even */
static uint64_t shifted(uint64_t value, int32_t bits)
{
    if (bits == 0) {
        return value;
    }
    const uint64_t rest = value & (((uint64_t)1 << bits) - 1U);
    const uint64_t half = (uint64_t)1 << (bits - 1);
    const uint64_t found = value >> bits;
    return ((rest > half) || ((rest == half) && ((found & 1U) != 0U))) ? (found + 1U) : found;
}

/* OpenCV's coefficients are doubles that become 256ths: (index + 0.5) * scale - 0.5 is computed as
 * doubles are, since where a size is a multiple of 256 their last bit decides. */
static en_image_tap tap_of(const en_image_axis *axis, int32_t index)
{
    en_image_tap tap = {0, 0};
    const uint64_t product = axis->scale.mantissa * (uint64_t)((2 * index) + 1);
    int32_t over = 0;
    while ((product >> over) >= MANTISSA) {
        over++;
    }
    const uint64_t centre = shifted(product, over);
    const int32_t bits = 1 - axis->scale.exponent - over; /* after the binary point: 42 to 63 */
    const uint64_t half = (uint64_t)1 << (bits - 1);
    if (centre < half) {
        return tap;
    }
    const uint64_t place = centre - half;
    if ((int32_t)(place >> bits) >= (axis->boxes - 1)) {
        tap.first = (uint16_t)(axis->boxes - 1);
        return tap;
    }
    tap.first = (uint16_t)(place >> bits);
    tap.weight = (uint16_t)shifted(place & (((uint64_t)1 << bits) - 1U), bits - 8);
    return tap;
}

/* kept: the middle of the frame that is used, of length pixels */
static void plan_axis(en_image_axis *axis, int32_t length, int32_t kept, int32_t size, int32_t whole)
{
    axis->box = en_max(1, kept / size);
    axis->boxes = kept / axis->box;
    axis->first = ((length - kept) / 2) + ((kept - (axis->boxes * axis->box)) / 2);
    axis->size = size;
    axis->offset = (whole - size) / 2;
    const en_image_real ratio = quotient((uint64_t)size, (uint64_t)axis->boxes);
    axis->scale = quotient(1, ratio.mantissa);
    axis->scale.exponent -= ratio.exponent;
}

static void plan(en_image *image, int32_t width, int32_t height)
{
    const en_image_contract *want = image->contract;
    const int32_t wide = ((width * want->height) > (height * want->width)) ? 1 : 0;
    int32_t kept_rows = height;
    int32_t kept_columns = width;
    int32_t rows = want->height;
    int32_t columns = want->width;
    if (want->fit == EN_IMAGE_CENTER_CROP) {
        if (wide != 0) {
            kept_columns = en_max(1, divide(height * want->width, want->height));
        } else {
            kept_rows = en_max(1, divide(width * want->height, want->width));
        }
    } else if (want->fit == EN_IMAGE_LETTERBOX) {
        if (wide != 0) {
            rows = en_max(1, divide(height * want->width, width));
        } else {
            columns = en_max(1, divide(width * want->height, height));
        }
    }
    plan_axis(&image->rows, height, kept_rows, rows, want->height);
    plan_axis(&image->columns, width, kept_columns, columns, want->width);
}

static int8_t code_of(const en_image_contract *contract, int32_t channel, uint32_t level)
{
    if (contract->codes != NULL) {
        return contract->codes[(256 * channel) + (int32_t)level];
    }
    return (int8_t)((int32_t)level - 128);
}

static void clear(en_image *image)
{
    const int32_t channels = image->contract->channels;
    const int32_t pixels = image->contract->height * image->contract->width;
    for (int32_t pixel = 0; pixel < pixels; pixel++) {
        for (int32_t channel = 0; channel < channels; channel++) {
            image->input[(pixel * channels) + channel] = code_of(image->contract, channel, 0);
        }
    }
}

int32_t en_image_begin(en_image *image, const en_image_contract *contract, int8_t *input,
                       int8_t *scratch, int32_t width, int32_t height)
{
    if ((width < 1) || (height < 1) || (width > 32767) || (height > 32767)) {
        return -1;
    }
    image->contract = contract;
    plan(image, width, height);
    if ((image->rows.box * image->columns.box) > ((int32_t)1 << 23)) {
        return -1;
    }
    const int32_t boxes = (image->columns.boxes + 1) * contract->channels;
    const int32_t line = image->columns.size * contract->channels;
    image->input = input;
    image->sums = (en_word *)(void *)scratch;
    image->taps = (en_image_tap *)(void *)&image->sums[boxes];
    image->lines = (en_half *)(void *)&image->taps[image->columns.size];
    (void)memset(image->sums, 0, (size_t)boxes * sizeof(uint32_t));
    (void)memset(image->lines, 0, 2U * (size_t)line * sizeof(uint16_t));
    for (int32_t column = 0; column < image->columns.size; column++) {
        image->taps[column] = tap_of(&image->columns, column);
    }
    image->area = (uint32_t)(image->rows.box * image->columns.box);
    image->reciprocal = (((uint32_t)1 << 24) + image->area - 1U) / image->area;
    image->row = 0;
    image->line = 0;
    image->next = 0;
    image->tap = tap_of(&image->rows, 0);
    if (contract->fit == EN_IMAGE_LETTERBOX) {
        clear(image);
    }
    return 0;
}

int32_t en_image_wanted(en_image *image)
{
    const int32_t row = image->row - image->rows.first;
    image->row++;
    return ((row >= 0) && (row < (image->rows.boxes * image->rows.box))) ? 1 : 0;
}

/* Sums to averages, as bytes over the sums themselves. */
static const uint8_t *averages(en_image *image)
{
    const int32_t count = image->columns.boxes * image->contract->channels;
    const uint32_t area = image->area;
    const uint32_t half = area / 2U;
    const en_word *sums = image->sums;
    uint8_t *bytes = (uint8_t *)image->sums;
    if (area <= 256U) {
        /* exact, and within 32 bits, for 256 pixels of 255 and the half that rounds */
        const uint32_t reciprocal = image->reciprocal;
        for (int32_t index = 0; index < count; index++) {
            bytes[index] = (uint8_t)(((sums[index] + half) * reciprocal) >> 24);
        }
    } else {
        for (int32_t index = 0; index < count; index++) {
            bytes[index] = (uint8_t)((sums[index] + half) / area);
        }
    }
    return bytes;
}

/* 256 - weight parts of one and weight of the other, in 256ths */
static inline uint16_t between(int32_t one, int32_t other, int32_t weight)
{
    return (uint16_t)((256 * one) + (weight * (other - one)));
}

/* A row of boxes, resized across, in 256ths. */
static void across(en_image *image, const uint8_t *boxes, en_half *line)
{
    const int32_t columns = image->columns.size;
    const en_image_tap *tap = image->taps;
    if (image->contract->channels == 1) {
        for (int32_t column = 0; column < columns; column++) {
            const uint8_t *box = &boxes[tap[column].first];
            line[column] = between(box[0], box[1], tap[column].weight);
        }
        return;
    }
    for (int32_t column = 0; column < columns; column++) {
        const int32_t weight = tap[column].weight;
        const uint8_t *box = &boxes[3 * (int32_t)tap[column].first];
        line[0] = between(box[0], box[3], weight);
        line[1] = between(box[1], box[4], weight);
        line[2] = between(box[2], box[5], weight);
        line += 3;
    }
}

/* A level between two lines' 256ths, halves up. */
static inline int32_t level(int32_t upper, int32_t lower, int32_t weight)
{
    return ((256 * upper) + (weight * (lower - upper)) + 32768) >> 16;
}

/* A row of the input, between two lines. */
static void down(const en_image *image)
{
    const int32_t channels = image->contract->channels;
    const int32_t size = image->columns.size * channels;
    const int32_t weight = image->tap.weight;
    const en_half *upper = &image->lines[(image->tap.first & 1) * size];
    const en_half *lower = &image->lines[((image->tap.first + 1) & 1) * size];
    const int32_t row = image->rows.offset + image->next;
    int8_t *out = &image->input[((row * image->contract->width) + image->columns.offset) * channels];
    const int8_t *codes = image->contract->codes;
    if (codes == NULL) {
        for (int32_t index = 0; index < size; index++) {
            out[index] = (int8_t)(level(upper[index], lower[index], weight) - 128);
        }
        return;
    }
    int32_t first = 0; /* code of the channel */
    for (int32_t index = 0; index < size; index++) {
        out[index] = codes[first + level(upper[index], lower[index], weight)];
        first = ((first + 256) == (256 * channels)) ? 0 : (first + 256);
    }
}

void en_image_added(en_image *image)
{
    const int32_t row = image->row - image->rows.first;
    if ((row % image->rows.box) != 0) {
        return;
    }
    const int32_t boxes = (image->columns.boxes + 1) * image->contract->channels;
    const int32_t size = image->columns.size * image->contract->channels;
    across(image, averages(image), &image->lines[(image->line & 1) * size]);
    (void)memset(image->sums, 0, (size_t)boxes * sizeof(uint32_t));
    while ((image->next < image->rows.size) &&
           ((image->tap.first + ((image->tap.weight != 0U) ? 1 : 0)) == image->line)) {
        down(image);
        image->next++;
        if (image->next < image->rows.size) {
            image->tap = tap_of(&image->rows, image->next);
        }
    }
    image->line++;
}
