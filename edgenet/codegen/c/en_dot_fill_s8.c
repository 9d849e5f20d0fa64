#include "en_dot.h"

#if EN_DSP
#include "en_dsp.h"
#endif

void en_dot_fill_s8(const en_dot *dot, const int8_t *rows, int32_t stride, int8_t *quad)
{
    const int32_t whole = dot->depth & ~3;
    const int32_t left = dot->depth - whole;
#if EN_DSP
    if (dot->fast != 0) {
        const int8_t *row1 = &rows[stride];
        const int8_t *row2 = &row1[stride];
        const int8_t *row3 = &row2[stride];
        const int8_t *end = &rows[whole];
        uint32_t *words = (uint32_t *)(void *)quad;
        while (rows != end) {
            const uint32_t a = en_load_word(rows);
            const uint32_t b = en_load_word(row1);
            const uint32_t c = en_load_word(row2);
            const uint32_t d = en_load_word(row3);
            words[0] = en_double(en_even(a));
            words[1] = en_double(en_even(b));
            words[2] = en_double(en_even(c));
            words[3] = en_double(en_even(d));
            words[4] = en_double(en_odd(a));
            words[5] = en_double(en_odd(b));
            words[6] = en_double(en_odd(c));
            words[7] = en_double(en_odd(d));
            words = &words[8];
            rows = &rows[4];
            row1 = &row1[4];
            row2 = &row2[4];
            row3 = &row3[4];
        }
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
