/* Bytes of frames.bin, one frame after another; after the last the program ends. */
#ifndef CAMERA_H
#define CAMERA_H

#include <stdio.h>
#include <stdlib.h>

static inline void camera_bytes(void *to, size_t size)
{
    static FILE *frames;
    if (!frames) {
        frames = fopen("frames.bin", "rb");
    }
    if (!frames || fread(to, 1, size, frames) != size) {
        exit(0);
    }
}

#endif
