/* gemmlowp's fixed-point arithmetic with its two roundings, as TensorFlow Lite Micro computes it. */
#ifndef EN_REQUANTIZE_H
#define EN_REQUANTIZE_H

#include "en_common.h"

/* High 32 bits of twice * multiplier, halves up. */
static inline int32_t en_high_of_twice(int32_t twice, int32_t multiplier)
{
#if EN_DSP
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(twice), "r"(multiplier));
    return high;
#elif defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
    /* no product of 64 bits: four products of halves */
    const int32_t upper = twice >> 16;
    const int32_t lower = twice & 0xFFFF;
    const int32_t by_upper = multiplier >> 16;
    const int32_t by_lower = multiplier & 0xFFFF;
    const int32_t first =
        (upper * by_lower) + (int32_t)(((uint32_t)lower * (uint32_t)by_lower) >> 16);
    const uint32_t second = ((uint32_t)first & 0xFFFFU) + ((uint32_t)lower * (uint32_t)by_upper);
    return (upper * by_upper) + (first >> 16) + (int32_t)((second + 0x8000U) >> 16);
#else
    const int64_t product = (int64_t)twice * multiplier;
    return (int32_t)(product >> 32) + (int32_t)(((uint32_t)product) >> 31);
#endif
}

/* High 32 bits of 2 * a * b, halves up: SaturatingRoundingDoublingHighMul.  The one case that
 * saturates, both INT32_MIN, is left out: multipliers are never negative. */
static inline int32_t en_high_multiply(int32_t a, int32_t b)
{
    return (int32_t)((((int64_t)a * b) + ((int64_t)1 << 30)) >> 31);
}

/* value / 2^right, halves away from zero: RoundingDivideByPOT.  right is 0 to 31.
 * Taking one off negative numbers turns "halves up" into "halves away from zero"; rounding by two
 * shifts instead of an addition of 2^(right - 1) cannot overflow. */
static inline int32_t en_divide_by_power(int32_t value, int32_t right)
{
    int32_t result = value;
    if (right > 0) {
        result = (((value + (value >> 31)) >> (right - 1)) + 1) >> 1;
    }
    return result;
}

/* value * multiplier * 2^-(31 + right), rounded twice: MultiplyByQuantizedMultiplier.
 * multiplier is not negative, right is -30 to 31. */
static inline int32_t en_requantize(int32_t value, int32_t multiplier, int32_t right)
{
    int32_t lifted = value;
    int32_t rest = right;
    if (right < 0) {
        lifted = (int32_t)((uint32_t)value << (uint32_t)-right);
        rest = 0;
    }
    return en_divide_by_power(en_high_multiply(lifted, multiplier), rest);
}

/* A sum, bias included, to its code. */
static inline int8_t en_code(int32_t sum, int32_t multiplier, int32_t right, en_range range)
{
    int32_t code = en_requantize(sum, multiplier, right) + range.zero_point;
    return (int8_t)en_min(en_max(code, range.low), range.high);
}

#if !EN_DSP
/* Four sums that are fast to the codes of one channel, step apart; nothing here overflows. */
EN_INLINE void en_fast_codes(int32_t s0, int32_t s1, int32_t s2, int32_t s3, const en_pair *pair,
                             int32_t half, int32_t fast, const en_range *range, int8_t *out,
                             int32_t step)
{
    const int32_t multiplier = pair->multiplier[half];
    const int32_t right = pair->right[half];
    const int32_t rounding = (int32_t)1 << (right - 1);
    s0 = en_high_of_twice(2 * s0, multiplier);
    s1 = en_high_of_twice(2 * s1, multiplier);
    s2 = en_high_of_twice(2 * s2, multiplier);
    s3 = en_high_of_twice(2 * s3, multiplier);
    if (fast == EN_RELU) {
        s0 = ((s0 + rounding) >> right) - 128;
        s1 = ((s1 + rounding) >> right) - 128;
        s2 = ((s2 + rounding) >> right) - 128;
        s3 = ((s3 + rounding) >> right) - 128;
        s0 = en_min(en_max(s0, -128), 127);
        s1 = en_min(en_max(s1, -128), 127);
        s2 = en_min(en_max(s2, -128), 127);
        s3 = en_min(en_max(s3, -128), 127);
    } else {
        const int32_t zero_point = range->zero_point;
        const int32_t low = range->low;
        const int32_t high = range->high;
        s0 = ((s0 + (s0 >> 31) + rounding) >> right) + zero_point;
        s1 = ((s1 + (s1 >> 31) + rounding) >> right) + zero_point;
        s2 = ((s2 + (s2 >> 31) + rounding) >> right) + zero_point;
        s3 = ((s3 + (s3 >> 31) + rounding) >> right) + zero_point;
        s0 = en_min(en_max(s0, low), high);
        s1 = en_min(en_max(s1, low), high);
        s2 = en_min(en_max(s2, low), high);
        s3 = en_min(en_max(s3, low), high);
    }
    out[0] = (int8_t)s0;
    out[step] = (int8_t)s1;
    out[2 * step] = (int8_t)s2;
    out[3 * step] = (int8_t)s3;
}
#endif

#endif
