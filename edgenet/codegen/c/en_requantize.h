/* gemmlowp's fixed-point arithmetic with its two roundings, as TensorFlow Lite Micro computes it. */
#ifndef EN_REQUANTIZE_H
#define EN_REQUANTIZE_H

#include "en_common.h"

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

/* What the codes of one channel have in common, taken out of loops. */
typedef struct {
    int32_t multiplier;
    int32_t left;  /* bits before the multiplication */
    int32_t right; /* bits behind it, less one; the last of them is rounded */
    int32_t round; /* whether anything is shifted out */
    en_range range;
} en_scale;

static inline en_scale en_scale_of(const en_pair *pair, int32_t half, en_range range)
{
    const int32_t right = pair->right[half];
    en_scale scale;
    scale.multiplier = pair->multiplier[half];
    scale.left = en_max(-right, 0);
    scale.right = en_max(right - 1, 0);
    scale.round = (right > 0) ? 1 : 0;
    scale.range = range;
    return scale;
}

/* en_code with what was taken out. */
static inline int8_t en_scaled(int32_t sum, const en_scale *scale)
{
    const int32_t lifted = (int32_t)((uint32_t)sum << (uint32_t)scale->left);
    int32_t code = en_high_multiply(lifted, scale->multiplier);
    if (scale->round != 0) {
        code = (((code + (code >> 31)) >> scale->right) + 1) >> 1;
    }
    code += scale->range.zero_point;
    return (int8_t)en_min(en_max(code, scale->range.low), scale->range.high);
}

#endif
