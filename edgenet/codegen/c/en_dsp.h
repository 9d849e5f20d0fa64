/* Instructions of the DSP flavour that C has no words for. */
#ifndef EN_DSP_H
#define EN_DSP_H

#include "en_common.h"

#if EN_DSP

/* Bytes 0 and 2, sign-extended to pairs of 16-bit numbers. */
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

/* sum + both products of 16-bit numbers. */
static inline int32_t en_two_products(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t result;
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* to + a * b / 2^32, halves up. */
static inline int32_t en_add_high(int32_t a, int32_t b, int32_t to)
{
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(to));
    return result;
}

/* The two roundings of a channel as factors of SMMLAR, which adds to a register the upper half of
 * a product, halves up:
 *
 *   sum + sum * first = sum * (2^32 + first) / 2^32: first is twice the multiplier, less 2^32;
 *   zero point + that * second:                      second is 2^(32 - right).
 *
 * Between the two, one is taken off negative numbers, so that their halves go away from zero.  With
 * EN_RELU that is of no account. */
typedef struct {
    int32_t first;
    int32_t second;
} en_factors;

static inline en_factors en_factors_of(int32_t multiplier, int32_t right)
{
    en_factors factors;
    factors.first = (int32_t)(2U * (uint32_t)multiplier);
    factors.second = (int32_t)1 << (32 - right);
    return factors;
}

/* A sum, bias included, to its code. */
static inline int8_t en_factored_code(int32_t sum, en_factors factors, en_range range)
{
    int32_t code = en_add_high(sum, factors.first, sum);
    code = en_add_high(code + (code >> 31), factors.second, range.zero_point);
    return (int8_t)en_min(en_max(code, range.low), range.high);
}

#endif
#endif
