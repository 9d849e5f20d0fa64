/* What all kernels share: types, and which of the three flavours this compiler builds.
 *
 * Maps are NHWC, of int8 codes.  Nothing is allocated, nothing is global: parameters are constants
 * in flash, scratch memory comes from the caller. */
#ifndef EN_COMMON_H
#define EN_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
#error "weights are packed for little-endian processors"
#endif

/* Cortex-M4, M7, M33, M55: two 16-bit multiplications an instruction. */
#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__GNUC__) && !defined(EN_PORTABLE)
#define EN_DSP 1
#else
#define EN_DSP 0
#endif

/* Cortex-M55, M85 (Helium): vectors of 16 bytes; kernels and constants of their own. */
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && EN_DSP
#define EN_MVE 1
#else
#define EN_MVE 0
#endif

/* Where kernels lie: -DEDGENET_HOT='".itcm"' names a section of fast memory. */
#if defined(EDGENET_HOT)
#define EN_HOT __attribute__((section(EDGENET_HOT)))
#define EN_CODE(name) EDGENET_HOT
#else
#define EN_HOT
#define EN_CODE(name) ".text." name
#endif

/* Words are read from constants. */
#if defined(__GNUC__)
#define EN_ALIGNED __attribute__((aligned(16)))
#else
#define EN_ALIGNED
#endif

#if defined(__cplusplus)
#define EN_BEGIN extern "C" {
#define EN_END }
#else
#define EN_BEGIN
#define EN_END
#endif

/* The arena is of int8_t; what kernels keep there for themselves may have other types. */
#if defined(__GNUC__)
#define EN_MAY_ALIAS __attribute__((may_alias))
#else
#define EN_MAY_ALIAS
#endif
typedef uint32_t EN_MAY_ALIAS en_word;
typedef int32_t EN_MAY_ALIAS en_number;
typedef uint16_t EN_MAY_ALIAS en_half;

#if defined(__GNUC__)
#define EN_RESTRICT __restrict
#define EN_INLINE static inline __attribute__((always_inline))
/* All before is computed before what follows: compilers mix it up, and run out of registers. */
#define EN_FINISH(a, b, c, d) __asm__("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d)::"memory")
#else
#define EN_RESTRICT
#define EN_INLINE static inline
#define EN_FINISH(a, b, c, d)
#endif

/* How the sums of two output channels become codes: see en_requantize.h.  right is the number of
 * bits that a product is shifted to the right by; to the left where it is negative. */
typedef struct {
    int32_t bias[2];
    int32_t multiplier[2];
    int16_t right[2];
} en_pair;

/* The same of four channels, for MVE: left is -right, since VRSHL shifts to the left. */
typedef struct {
    int32_t bias[4];
    int32_t multiplier[4];
    int8_t left[4];
} en_quad;

/* The same of one channel: nine bytes, of which words are loaded where they lie, unaligned. */
#if EN_MVE
typedef struct __attribute__((packed)) {
    int32_t bias;
    int32_t multiplier;
    int8_t left;
} en_single;
#endif

/* How sums become codes where that takes three or four instructions (en_dsp.h), exactly: twice every
 * sum fits 32 bits, multipliers are 2^30 at least, rights 2 to 31; else EN_SLOW.  EN_RELU: negative
 * numbers end at -128, the zero point, and others at 127; EN_FULL: codes are all that int8 has. */
enum { EN_SLOW = 0, EN_RELU = 1, EN_FULL = 2, EN_CLAMPED = 3 };

/* What the codes of an output are held to. */
typedef struct {
    int32_t zero_point;
    int32_t low;
    int32_t high;
} en_range;

/* Four bytes, aligned or not. */
static inline uint32_t en_load_word(const int8_t *from)
{
    uint32_t word;
    (void)memcpy(&word, from, sizeof word);
    return word;
}

static inline int32_t en_min(int32_t a, int32_t b)
{
    return (a < b) ? a : b;
}

static inline int32_t en_max(int32_t a, int32_t b)
{
    return (a > b) ? a : b;
}

#endif
