/* Runs a model on many pictures in one call, for the machine that compiles it. */
#include "edgenet_model.h"

#include <string.h>

uint32_t edgenet_arena_bytes(void);
int32_t edgenet_prove(void *arena);
void edgenet_answer(void *arena, const int8_t *inputs, int8_t *outputs, uint32_t pictures);

uint32_t edgenet_arena_bytes(void)
{
    return MODEL_ARENA_BYTES;
}

int32_t edgenet_prove(void *arena)
{
    return model_selftest(arena);
}

void edgenet_answer(void *arena, const int8_t *inputs, int8_t *outputs, uint32_t pictures)
{
    for (size_t i = 0; i < pictures; i++) {
        (void)memcpy(model_input(arena), &inputs[i * MODEL_IN_LEN], MODEL_IN_LEN);
        (void)model_run(arena);
        (void)memcpy(&outputs[i * MODEL_OUT_LEN], model_output(arena), MODEL_OUT_LEN);
    }
}
