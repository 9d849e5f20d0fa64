#include "en_dot.h"

#if EN_DSP
#include "en_dsp.h"

/* Words from each of four rows, stride bytes apart, to eight words of the quad; every register has
 * a use: r0 to r3 rows, r4 to r11 unpacked, r12 the quad, lr the end of the first row. */
void en_dot_fill_dsp(const int8_t *rows, int32_t stride, uint32_t *quad, const int8_t *end);

__asm__(
    ".syntax unified\n"
    ".thumb\n"
    ".section .text.en_dot_fill_dsp,\"ax\",%progbits\n"
    ".p2align 2\n"
    ".global en_dot_fill_dsp\n"
    ".type en_dot_fill_dsp,%function\n"
    ".thumb_func\n"
    ".macro en_dot_unpack even, odd\n"
    "sxtb16 \\odd, \\even, ror #8\n"
    "sxtb16 \\even, \\even\n"
    "sadd16 \\odd, \\odd, \\odd\n"
    "sadd16 \\even, \\even, \\even\n"
    ".endm\n"
    "en_dot_fill_dsp:\n"
    "push {r4-r11, lr}\n"
    "mov r12, r2\n"
    "mov lr, r3\n"
    "mov r4, r1\n"
    "add r1, r0, r4\n"
    "add r2, r1, r4\n"
    "add r3, r2, r4\n"
    "cmp r0, lr\n"
    "beq 2f\n"
    "1:\n"
    "ldr r4, [r0], #4\n"
    "ldr r5, [r1], #4\n"
    "ldr r6, [r2], #4\n"
    "ldr r7, [r3], #4\n"
    "en_dot_unpack r4, r8\n"
    "en_dot_unpack r5, r9\n"
    "en_dot_unpack r6, r10\n"
    "en_dot_unpack r7, r11\n"
    "stm r12!, {r4-r11}\n"
    "cmp r0, lr\n"
    "bne 1b\n"
    "2:\n"
    "pop {r4-r11, pc}\n"
    ".size en_dot_fill_dsp, . - en_dot_fill_dsp\n"
    ".purgem en_dot_unpack\n"
    ".text\n");
#endif

void en_dot_fill_s8(const en_dot *dot, const int8_t *rows, int32_t stride, int8_t *quad)
{
    const int32_t whole = dot->depth & ~3;
    const int32_t left = dot->depth - whole;
#if EN_DSP
    if (dot->fast != 0) {
        uint32_t *words = &((uint32_t *)(void *)quad)[2 * whole];
        en_dot_fill_dsp(rows, stride, (uint32_t *)(void *)quad, &rows[whole]);
        rows = &rows[whole];
        for (int32_t pixel = 0; (left > 0) && (pixel < 4); pixel++) {
            uint32_t rest = 0;
            (void)memcpy(&rest, &rows[pixel * stride], (size_t)left);
            words[pixel] = en_double(en_even(rest));
            words[pixel + 4] = en_double(en_odd(rest));
        }
        return;
    }
#endif
    for (int32_t pixel = 0; pixel < 4; pixel++) {
        const int8_t *row = &rows[pixel * stride];
        int8_t *to = &quad[4 * pixel];
        for (int32_t term = 0; term < whole; term += 4) {
            (void)memcpy(to, &row[term], 4);
            to = &to[16];
        }
        if (left > 0) {
            (void)memset(to, 0, 4);
            (void)memcpy(to, &row[whole], (size_t)left);
        }
    }
}
