#include "en_dot.h"

#if EN_DSP
#include "en_dsp.h"

/* Words from each of four rows to eight words of the quad; every register has a use: r0 to r3 rows,
 * r4 to r11 unpacked, r12 the quad, lr the end of the first row. */
void en_dot_fill_dsp(const int8_t *const *rows, int32_t bytes, int8_t *quad);

__asm__(
    ".syntax unified\n"
    ".thumb\n"
    ".section .text.en_dot_fill_dsp,\"ax\",%progbits\n"
    ".p2align 2\n"
    ".global en_dot_fill_dsp\n"
    ".type en_dot_fill_dsp,%function\n"
    ".thumb_func\n"
    "en_dot_fill_dsp:\n"
    "push {r4-r11, lr}\n"
    "mov r12, r2\n"
    "mov lr, r1\n"
    "ldm r0, {r0-r3}\n"
    "add lr, r0\n"
    "1:\n"
    "ldr r4, [r0], #4\n"
    "ldr r5, [r1], #4\n"
    "ldr r6, [r2], #4\n"
    "ldr r7, [r3], #4\n"
    "sxtb16 r8, r4, ror #8\n"
    "sxtb16 r4, r4\n"
    "sxtb16 r9, r5, ror #8\n"
    "sxtb16 r5, r5\n"
    "sxtb16 r10, r6, ror #8\n"
    "sxtb16 r6, r6\n"
    "sxtb16 r11, r7, ror #8\n"
    "sxtb16 r7, r7\n"
    "stm r12!, {r4-r11}\n"
    "cmp r0, lr\n"
    "bne 1b\n"
    "pop {r4-r11, pc}\n"
    ".size en_dot_fill_dsp, . - en_dot_fill_dsp\n"
    ".text\n");
#endif

int8_t *en_dot_fill_s8(const en_dot *dot, const int8_t *const *rows, int32_t bytes, int8_t *quad)
{
    const int32_t whole = bytes & ~3;
    const int32_t left = bytes - whole;
#if EN_DSP
    if (dot->fast != 0) {
        en_word *words = (en_word *)(void *)&quad[8 * whole];
        if (whole > 0) {
            en_dot_fill_dsp(rows, whole, quad);
        }
        if (left > 0) {
            for (int32_t pixel = 0; pixel < 4; pixel++) {
                uint32_t rest = 0;
                for (int32_t at = left - 1; at >= 0; at--) {
                    rest = (rest << 8) | (uint8_t)rows[pixel][whole + at];
                }
                words[pixel] = en_even(rest);
                words[pixel + 4] = en_odd(rest);
            }
            words = &words[8];
        }
        return (int8_t *)(void *)words;
    }
#else
    (void)dot;
#endif
    for (int32_t pixel = 0; pixel < 4; pixel++) {
        const int8_t *row = rows[pixel];
        int8_t *to = &quad[4 * pixel];
        for (int32_t term = 0; term < whole; term += 4) {
            (void)memcpy(to, &row[term], 4);
            to = &to[16];
        }
        if (left > 0) {
            for (int32_t at = 0; at < 4; at++) {
                to[at] = (at < left) ? row[whole + at] : 0;
            }
        }
    }
    return &quad[4 * (whole + ((left > 0) ? 4 : 0))];
}
