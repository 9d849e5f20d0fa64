/* Calls single kernels on what a file says, so that tests choose the shapes: in.bin or the first
 * argument, outputs to out.bin or the second.  Every buffer is its own allocation, for sanitizers to
 * see where it ends.  Numbers are uint32, little-endian; a record is
 *
 *   kernel, constants (size, bytes)*, struct (size, bytes), pointers in it (offset, constant)*,
 *   buffers (size)*, arguments (buffer, offset)*, inputs (argument, size, bytes)*,
 *   output (argument, size)
 *
 * where ()* stands for a count and so many of them. */
#include "en_add_mve_s8.h"
#include "en_add_s8.h"
#include "en_conv_1x1_mve_s8.h"
#include "en_conv_1x1_s8.h"
#include "en_conv_mve_s8.h"
#include "en_conv_s8.h"
#include "en_copy_s8.h"
#include "en_depthwise_mve_s8.h"
#include "en_depthwise_s8.h"
#include "en_mean_mve_s8.h"
#include "en_mean_s8.h"
#include "en_pad_s8.h"
#include "en_pool.h"
#include "en_softmax_s8.h"
#include "en_table_s8.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST = 8 };

static FILE *in;

static uint32_t number(void)
{
    uint32_t value = 0;
    if (fread(&value, sizeof value, 1, in) != 1) {
        exit(0);
    }
    return value;
}

static void *bytes(uint32_t size)
{
    void *found = malloc((size > 0U) ? size : 1U); /* aligned to 8 at least */
    if (!found) {
        exit(4);
    }
    return found;
}

static void *read_bytes(uint32_t size)
{
    void *found = bytes(size);
    if (fread(found, 1, size, in) != size) {
        exit(5);
    }
    return found;
}

static void call(uint32_t kernel, const void *p, int8_t **a)
{
    switch (kernel) {
    case 0: en_add_s8((const en_add *)p, a[0], a[1], a[2], a[3]); break;
    case 1: en_conv_1x1_s8((const en_conv_1x1 *)p, a[0], a[1], a[2]); break;
    case 2: en_conv_s8((const en_conv *)p, a[0], a[1], a[2]); break;
    case 3: en_copy_s8((const en_copy *)p, a[0], a[1]); break;
    case 4: en_depthwise_s8((const en_depthwise *)p, a[0], a[1], a[2]); break;
    case 5: en_mean_s8((const en_mean *)p, a[0], a[1]); break;
    case 6: en_pad_s8((const en_pad *)p, a[0], a[1]); break;
    case 7: en_pool_average_s8((const en_pool *)p, a[0], a[1]); break;
    case 8: en_pool_max_s8((const en_pool *)p, a[0], a[1]); break;
    case 9: en_softmax_s8((const en_softmax *)p, a[0], a[1]); break;
    case 10: en_table_s8((const en_table *)p, a[0], a[1]); break;
#if EN_MVE
    case 11: en_add_mve_s8((const en_add_mve *)p, a[0], a[1], a[2]); break;
    case 12: en_conv_1x1_mve_s8((const en_conv_1x1_mve *)p, a[0], a[1], a[2]); break;
    case 13: en_conv_mve_s8((const en_conv_mve *)p, a[0], a[1], a[2]); break;
    case 14: en_depthwise_mve_s8((const en_depthwise_mve *)p, a[0], a[1], a[2]); break;
    case 15: en_mean_mve_s8((const en_mean_mve *)p, a[0], a[1]); break;
#endif
    default: exit(6);
    }
}

static void record(FILE *out)
{
    int8_t *constants[MOST] = {0};
    int8_t *buffers[MOST] = {0};
    int8_t *arguments[MOST] = {0};
    const uint32_t kernel = number();
    for (uint32_t i = 0, count = number(); i < count; i++) {
        constants[i] = (int8_t *)read_bytes(number());
    }
    char *fields = (char *)read_bytes(number());
    for (uint32_t i = 0, count = number(); i < count; i++) {
        const uint32_t offset = number();
        const void *constant = constants[number()];
        memcpy(&fields[offset], &constant, sizeof constant);
    }
    for (uint32_t i = 0, count = number(); i < count; i++) {
        const uint32_t size = number();
        buffers[i] = (int8_t *)bytes(size);
        memset(buffers[i], 0x55, size);
    }
    for (uint32_t i = 0, count = number(); i < count; i++) {
        const uint32_t buffer = number();
        arguments[i] = buffers[buffer] + number();
    }
    for (uint32_t i = 0, count = number(); i < count; i++) {
        int8_t *to = arguments[number()];
        const uint32_t size = number();
        if (fread(to, 1, size, in) != size) {
            exit(5);
        }
    }
    call(kernel, fields, arguments);
    const int8_t *result = arguments[number()];
    fwrite(result, 1, number(), out);
    fflush(out);
    for (uint32_t i = 0; i < MOST; i++) {
        free(constants[i]);
        free(buffers[i]);
    }
    free(fields);
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
