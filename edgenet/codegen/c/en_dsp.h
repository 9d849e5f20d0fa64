/* Unpacking for the DSP flavour: bytes of a word to pairs of 16-bit numbers. */
#ifndef EN_DSP_H
#define EN_DSP_H

#include "en_common.h"

#if EN_DSP

/* Bytes 0 and 2, sign-extended. */
static inline uint32_t en_even(uint32_t bytes)
{
    uint32_t pair;
    __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(bytes));
    return pair;
}

/* Bytes 1 and 3, sign-extended. */
static inline uint32_t en_odd(uint32_t bytes)
{
    uint32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(bytes));
    return pair;
}

static inline uint32_t en_double(uint32_t pair)
{
    uint32_t twice;
    __asm__("sadd16 %0, %1, %1" : "=r"(twice) : "r"(pair));
    return twice;
}

/* low half of low, low half of high. */
static inline uint32_t en_low_halves(uint32_t low, uint32_t high)
{
    uint32_t pair;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(low), "r"(high));
    return pair;
}

/* high half of low, high half of high. */
static inline uint32_t en_high_halves(uint32_t low, uint32_t high)
{
    uint32_t pair;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(pair) : "r"(high), "r"(low));
    return pair;
}

/* sum + both products of 16-bit numbers. */
static inline int32_t en_two_products(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t result;
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

#endif
#endif
