/* A V4L2 camera in the place of the kernel's: preloaded, it answers what OpenCV asks of one file.
 *
 * SHIM_DEVICE   the path that is the camera
 * SHIM_FORMAT   the only pixel format it has, as a fourcc
 * SHIM_SIZE     the only size it has, WIDTHxHEIGHT
 * SHIM_FPS      the only rate it has
 * SHIM_FRAMES   a folder of frames: 0, 1, 2 ...; after the last one the camera is unplugged
 * SHIM_CLOCK    "realtime" for a driver that does not stamp with the monotonic clock
 * SHIM_LOG      a file that the requests are written to
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LENGTH = 1 << 22, MAX_BUFFERS = 8 };

static int camera = -1;
static int buffers, frame, queue[MAX_BUFFERS], queued;
static __u32 width, height;

static void note(const char *format, ...) {
    const char *path = getenv("SHIM_LOG");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        va_list arguments;
        va_start(arguments, format);
        vfprintf(file, format, arguments);
        va_end(arguments);
        fputc('\n', file);
        fclose(file);
    }
}

static __u32 fourcc(void) {
    const char *name = getenv("SHIM_FORMAT");
    return v4l2_fourcc((__u32)name[0], (__u32)name[1], (__u32)name[2], (__u32)name[3]);
}

static int fail(int reason) {
    errno = reason;
    return -1;
}

static int set_format(struct v4l2_format *format) {
    struct v4l2_pix_format *pix = &format->fmt.pix;
    note("format %.4s %ux%u", (char *)&pix->pixelformat, pix->width, pix->height);
    if (buffers) return fail(EBUSY);
    sscanf(getenv("SHIM_SIZE"), "%ux%u", &width, &height);
    memset(pix, 0, sizeof *pix);
    pix->width = width;
    pix->height = height;
    pix->pixelformat = fourcc();
    pix->bytesperline = width * 2;
    pix->sizeimage = LENGTH;
    return 0;
}

static int set_rate(struct v4l2_streamparm *parameters) {
    parameters->parm.capture.timeperframe.numerator = 1;
    parameters->parm.capture.timeperframe.denominator = (__u32)atoi(getenv("SHIM_FPS"));
    return 0;
}

static int request(struct v4l2_requestbuffers *asked) {
    note("buffers %u", asked->count);
    if (asked->count > MAX_BUFFERS) asked->count = MAX_BUFFERS;
    buffers = (int)asked->count;
    queued = 0;
    return ftruncate(camera, (off_t)buffers * LENGTH);
}

static int next_frame(struct v4l2_buffer *buffer) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%d", getenv("SHIM_FRAMES"), frame);
    FILE *file = fopen(path, "rb");
    if (!file) return fail(ENODEV);
    if (!queued) return fail(EINVAL);
    int index = queue[0];
    memmove(queue, queue + 1, sizeof *queue * (size_t)--queued);
    char *at = mmap(NULL, LENGTH, PROT_WRITE, MAP_SHARED, camera, (off_t)index * LENGTH);
    buffer->bytesused = (__u32)fread(at, 1, LENGTH, file);
    munmap(at, LENGTH);
    fclose(file);
    frame++;
    struct timespec now;
    const char *clock = getenv("SHIM_CLOCK");
    clock_gettime(clock && !strcmp(clock, "realtime") ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
    buffer->index = (__u32)index;
    buffer->length = LENGTH;
    buffer->timestamp.tv_sec = now.tv_sec;
    buffer->timestamp.tv_usec = now.tv_nsec / 1000;
    return 0;
}

static int answer(unsigned long what, void *how) {
    struct v4l2_buffer *buffer = how;
    switch (what) {
    case VIDIOC_QUERYCAP:
        ((struct v4l2_capability *)how)->capabilities =
            V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        return 0;
    case VIDIOC_G_FMT:
    case VIDIOC_S_FMT: return set_format(how);
    case VIDIOC_G_PARM: return set_rate(how);
    case VIDIOC_S_PARM:
        note("rate %u", ((struct v4l2_streamparm *)how)->parm.capture.timeperframe.denominator);
        return set_rate(how);
    case VIDIOC_REQBUFS: return request(how);
    case VIDIOC_QUERYBUF:
        buffer->length = LENGTH;
        buffer->m.offset = buffer->index * LENGTH;
        return 0;
    case VIDIOC_QBUF:
        queue[queued++] = (int)buffer->index;
        return 0;
    case VIDIOC_DQBUF: return next_frame(buffer);
    case VIDIOC_STREAMON:
    case VIDIOC_STREAMOFF: note(what == VIDIOC_STREAMON ? "on" : "off"); return 0;
    default: return fail(EINVAL);
    }
}

int open(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    if (!real) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    const char *device = getenv("SHIM_DEVICE");
    if (device && !strcmp(path, device) && (flags & O_NONBLOCK)) {
        camera = memfd_create("camera", 0);
        buffers = queued = frame = 0;
        return camera;
    }
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return real(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int ioctl(int file, unsigned long what, ...) {
    static int (*real)(int, unsigned long, ...);
    if (!real) real = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    va_list arguments;
    va_start(arguments, what);
    void *how = va_arg(arguments, void *);
    va_end(arguments);
    return file == camera && camera >= 0 ? answer(what, how) : real(file, what, how);
}
