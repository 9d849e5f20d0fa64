/* Files and words of the machine that emulates (Arm's semihosting, BKPT 0xAB). */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stddef.h>
#include <stdint.h>

enum { SEMIHOSTING_READ = 1, SEMIHOSTING_WRITE = 5 }; /* rb, wb */

static inline int32_t semihosting(int32_t operation, const void *argument)
{
    register int32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static inline void semihosting_print(const char *words)
{
    (void)semihosting(0x04, words);
}

static inline void semihosting_exit(int32_t code)
{
    const uint32_t arguments[2] = {0x20026U, (uint32_t)code};
    for (;;) {
        (void)semihosting(0x20, arguments);
    }
}

static inline int32_t semihosting_open(const char *name, uint32_t mode)
{
    uint32_t length = 0;
    while (name[length] != '\0') {
        length++;
    }
    const uint32_t arguments[3] = {(uint32_t)(uintptr_t)name, mode, length};
    return semihosting(0x01, arguments);
}

/* Bytes that were read. */
static inline uint32_t semihosting_read(int32_t file, void *to, uint32_t size)
{
    const uint32_t arguments[3] = {(uint32_t)file, (uint32_t)(uintptr_t)to, size};
    return size - (uint32_t)semihosting(0x06, arguments);
}

static inline void semihosting_write(int32_t file, const void *from, uint32_t size)
{
    const uint32_t arguments[3] = {(uint32_t)file, (uint32_t)(uintptr_t)from, size};
    (void)semihosting(0x05, arguments);
}

static inline void semihosting_close(int32_t file)
{
    const uint32_t arguments[1] = {(uint32_t)file};
    (void)semihosting(0x02, arguments);
}

#endif
