/* Runs a model on the pictures of in.bin and writes its outputs to out.bin.
 *
 * The first picture runs as a product would run it, between count_start and count_stop; the second
 * with a mark after each layer.  The deepest stack of the first goes to stack.bin; SysTick counts it
 * as well (QEMU's -icount shift=0 makes an instruction a nanosecond), to ticks.bin.
 *
 * Where there is a file prove.bin, the model's own selftest runs instead; its answer goes there. */
#include "edgenet_model.h"
#include "semihosting.h"

#define PAINT 0xA5C35A3CU
#define DEEPEST 4096U /* bytes of stack that are looked at */
#define WRAPPED 0xFFFFFFFFU
#define COUNTFLAG (1U << 16)

static int8_t arena[MODEL_ARENA_BYTES] __attribute__((aligned(16), section(".arena")));

/* The emulator counts from one of these to the next. */
__attribute__((noinline, used)) void count_start(void)
{
    __asm volatile("nop" ::: "memory");
}

__attribute__((noinline, used)) void count_stop(void)
{
    __asm volatile("nop" ::: "memory");
}

__attribute__((noinline, used)) void count_mark(void)
{
    __asm volatile("nop" ::: "memory");
}

static void mark(void *context, uint32_t layer, const int8_t *output, uint32_t size)
{
    (void)context;
    (void)layer;
    (void)output;
    (void)size;
    count_mark();
}

static void write_word(const char *name, uint32_t word)
{
    const int32_t file = semihosting_open(name, SEMIHOSTING_WRITE);
    semihosting_write(file, &word, sizeof word);
    semihosting_close(file);
}

static volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010U;

__attribute__((noinline)) static void measured(void)
{
    uint32_t *const here = (uint32_t *)__builtin_frame_address(0) - 32;
    uint32_t *const deepest = here - (DEEPEST / 4U);
    for (volatile uint32_t *word = deepest; word < here; word++) {
        *word = PAINT;
    }
    systick[1] = 0xFFFFFFU; /* reload */
    systick[2] = 0U;        /* current */
    systick[0] = 5U;        /* on, the core's clock */
    const uint32_t before = systick[2];
    count_start();
    (void)model_run(arena);
    count_stop();
    const uint32_t ticks = (before - systick[2]) & 0xFFFFFFU;
    write_word("ticks.bin", ((systick[0] & COUNTFLAG) != 0U) ? WRAPPED : ticks);
    const volatile uint32_t *word = deepest;
    while (*word == PAINT) {
        word++;
    }
    write_word("stack.bin", (uint32_t)(here - word) * 4U);
}

/* Whether a whole picture came; a pipe gives it in pieces. */
static int32_t read_picture(int32_t file)
{
    int8_t *const picture = model_input(arena);
    uint32_t done = 0;
    while (done < MODEL_IN_LEN) {
        const uint32_t got = semihosting_read(file, &picture[done], MODEL_IN_LEN - done);
        if (got == 0U) {
            return 0;
        }
        done += got;
    }
    return 1;
}

int main(void)
{
    const int32_t prove = semihosting_open("prove.bin", SEMIHOSTING_READ);
    if (prove >= 0) {
        semihosting_close(prove);
        write_word("prove.bin", (uint32_t)model_selftest(arena));
        return 0;
    }
    const int32_t in = semihosting_open("in.bin", SEMIHOSTING_READ);
    const int32_t out = semihosting_open("out.bin", SEMIHOSTING_WRITE);
    uint32_t picture = 0;
    while (read_picture(in) != 0) {
        if (picture == 0U) {
            measured();
        } else if (picture == 1U) {
            count_mark();
            (void)model_run_hooked(arena, mark, NULL);
        } else {
            (void)model_run(arena);
        }
        semihosting_write(out, model_output(arena), MODEL_OUT_LEN);
        picture++;
    }
    semihosting_close(out);
    return (picture > 0U) ? 0 : 3;
}
