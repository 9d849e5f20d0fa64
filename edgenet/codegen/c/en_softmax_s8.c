#include "en_softmax_s8.h"

#include "en_requantize.h"

/* 1 / (1 + x) of x in [0, 1] in Q0.31, by three steps of Newton and Raphson in Q2.29:
 * gemmlowp's one_over_one_plus_x_for_x_in_0_1. */
static int32_t inverse_of_one_plus(int32_t x)
{
    const int32_t half_denominator = (int32_t)(((int64_t)x + INT32_MAX + 1) >> 1);
    int32_t guess = 1515870810 + en_high_multiply(half_denominator, -1010580540);
    for (int32_t step = 0; step < 3; step++) {
        const int32_t error = ((int32_t)1 << 29) - en_high_multiply(half_denominator, guess);
        guess += (int32_t)((int64_t)en_high_multiply(guess, error) * 4);
    }
    return (guess > (INT32_MAX / 2)) ? INT32_MAX : (int32_t)(guess * 2);
}

/* Zeros in front of the first bit of a number that is not 0. */
static int32_t leading_zeros(uint32_t value)
{
    int32_t count = 0;
    while ((value & 0x80000000U) == 0U) {
        value <<= 1;
        count++;
    }
    return count;
}

static void row(const en_softmax *softmax, const int8_t *in, int8_t *out)
{
    int32_t most = -128;
    for (int32_t index = 0; index < softmax->depth; index++) {
        most = en_max(most, in[index]);
    }
    const int32_t *exponentials = &softmax->exponentials[255 - most];
    uint32_t sum = 0; /* Q12.19 */
    for (int32_t index = 0; index < softmax->depth; index++) {
        sum += (uint32_t)en_divide_by_power(exponentials[in[index]], 12);
    }
    const int32_t headroom = leading_zeros(sum);
    const int32_t scale = inverse_of_one_plus((int32_t)((sum << headroom) - 0x80000000U));
    /* with hundreds of equal codes more than 31, when every share is 0 */
    const int32_t right = en_min((12 - headroom) + 31 - 8, 31);
    for (int32_t index = 0; index < softmax->depth; index++) {
        const int32_t share = en_high_multiply(exponentials[in[index]], scale);
        out[index] = (int8_t)en_min(en_divide_by_power(share, right) - 128, 127);
    }
}

void en_softmax_s8(const en_softmax *softmax, const int8_t *in, int8_t *out)
{
    for (int32_t index = 0; index < softmax->rows; index++) {
        row(softmax, &in[index * softmax->depth], &out[index * softmax->depth]);
    }
}
