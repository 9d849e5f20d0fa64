#include "en_pad_s8.h"

void en_pad_s8(const en_pad *pad, const int8_t *in, int8_t *out)
{
    (void)memset(out, pad->code, (size_t)pad->top);
    out = &out[pad->top];
    for (int32_t row = 0; row < pad->rows; row++) {
        (void)memset(out, pad->code, (size_t)pad->left);
        (void)memcpy(&out[pad->left], &in[row * pad->row_bytes], (size_t)pad->row_bytes);
        out = &out[pad->left + pad->row_bytes];
        (void)memset(out, pad->code, (size_t)pad->right);
        out = &out[pad->right];
    }
    (void)memset(out, pad->code, (size_t)pad->bottom);
}
