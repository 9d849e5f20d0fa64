/* The board's side of docs/serial.md.
 *
 * Cycles are those of the DWT's counter where the core has one (M3, M4, M7, M33, M55).  Elsewhere
 * -DEDGENET_SERIAL_SYSTICK takes SysTick, which an operating system may need for itself, and
 * -DEDGENET_SERIAL_CYCLES a function of the board's, uint32_t edgenet_cycles(void). */
#include "edgenet_serial.h"

#include "edgenet_model.h"

#include <string.h>

enum {
    FIRST = 0xED,
    SECOND = 0x9E,
    HEAD = 6, /* magic, kind, sequence, size */
    VERSION = 1,
    REPLY = 0x80,
    ERROR = 0x7F
};
enum { BAD_CRC = 1, BAD_KIND = 2, BAD_RANGE = 3 };
enum { NO_COUNTER = 0, DWT = 1, SYSTICK = 2, OWN = 3 };
#define TOO_LONG 0xFFFFFFFFU /* cycles of what outlasts the counter */

typedef struct {
    uint8_t bytes[HEAD + EDGENET_SERIAL_PAYLOAD + 4];
    uint32_t have;
} receiver;

static receiver in;
static uint32_t layers[MODEL_LAYERS];
static uint32_t last_cycles; /* of the run that was asked for last */
static int32_t last_run = -1; /* its sequence number: asked for again, it is not run again */
static uint32_t outgoing;     /* the CRC of what is being sent */

static void put(uint32_t byte)
{
    const int8_t one = (int8_t)(uint8_t)byte;
    outgoing = model_en_crc32(outgoing, &one, 1);
    edgenet_putc((uint8_t)byte);
}

static void put_word(uint32_t word, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        put((word >> (8U * i)) & 0xFFU);
    }
}

static uint32_t get_word(const uint8_t *from, uint32_t bytes)
{
    uint32_t word = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        word |= (uint32_t)from[i] << (8U * i);
    }
    return word;
}

static void begin(uint32_t kind, uint32_t size)
{
    edgenet_putc(FIRST);
    edgenet_putc(SECOND);
    outgoing = 0;
    put(kind);
    put(in.bytes[3]);
    put_word(size, 2);
}

static void end(void)
{
    const uint32_t crc = outgoing;
    put_word(crc, 4);
}

static void refuse(uint32_t why)
{
    begin(ERROR, 1);
    put(why);
    end();
}

#if defined(EDGENET_SERIAL_CYCLES)
uint32_t edgenet_cycles(void);
#endif

#if defined(__ARM_ARCH_7M__) || defined(__ARM_ARCH_7EM__) || defined(__ARM_ARCH_8M_MAIN__) ||      \
    defined(__ARM_ARCH_8_1M_MAIN__)
#define HAS_DWT 1
static volatile uint32_t *const debug = (volatile uint32_t *)0xE000EDFCU; /* DEMCR */
static volatile uint32_t *const dwt = (volatile uint32_t *)0xE0001000U;   /* CTRL, CYCCNT */
#endif
#if defined(EDGENET_SERIAL_SYSTICK)
static volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010U; /* CTRL, LOAD, VAL */
#define COUNTFLAG (1U << 16)
#endif

/* Which counter there is, started. */
static uint32_t counter(void)
{
    static int32_t found = -1;
    if (found >= 0) {
        return (uint32_t)found;
    }
    found = NO_COUNTER;
#if defined(EDGENET_SERIAL_CYCLES)
    found = OWN;
#else
#if defined(EDGENET_SERIAL_SYSTICK)
    systick[1] = 0xFFFFFFU;
    systick[2] = 0;
    systick[0] = 5; /* on, the core's clock, no interrupt */
    found = SYSTICK;
#endif
#if defined(HAS_DWT)
    *debug |= 1U << 24;
    dwt[0] |= 1U;
    const uint32_t before = dwt[1];
    for (volatile uint32_t i = 0; i < 8U; i++) {
    }
    if (dwt[1] != before) {
        found = DWT;
    }
#endif
#endif
    return (uint32_t)found;
}

/* Where counting starts; SysTick, of 24 bits, begins at 0. */
static uint32_t now(void)
{
    switch (counter()) {
#if defined(EDGENET_SERIAL_CYCLES)
    case OWN:
        return edgenet_cycles();
#endif
#if defined(HAS_DWT)
    case DWT:
        return dwt[1];
#endif
#if defined(EDGENET_SERIAL_SYSTICK)
    case SYSTICK:
        systick[2] = 0; /* and clears the flag that says it passed 0 */
        return 0;
#endif
    default:
        return 0;
    }
}

static uint32_t since(uint32_t before)
{
#if defined(EDGENET_SERIAL_SYSTICK)
    if (counter() == SYSTICK) {
        const uint32_t cycles = (0U - systick[2]) & 0xFFFFFFU;
        return ((systick[0] & COUNTFLAG) != 0U) ? TOO_LONG : cycles;
    }
#endif
    return now() - before;
}

static void layer_done(void *context, uint32_t layer, const int8_t *output, uint32_t size)
{
    uint32_t *const started = (uint32_t *)context;
    (void)output;
    (void)size;
    layers[layer] = since(*started);
    last_cycles = ((layers[layer] == TOO_LONG) || (last_cycles == TOO_LONG))
                      ? TOO_LONG
                      : last_cycles + layers[layer];
    *started = now();
}

static void hello(void)
{
    const uint32_t name = (uint32_t)strlen(MODEL_NAME);
    begin('H' | REPLY, 36U + name);
    put(VERSION);
    put(counter());
    put_word(EDGENET_SERIAL_PAYLOAD, 2);
    put_word(MODEL_ARENA_BYTES, 4);
    put_word(MODEL_IN_LEN, 4);
    put_word(MODEL_OUT_LEN, 4);
    put_word(MODEL_LAYERS, 4);
    for (uint32_t i = 0; i < 16U; i++) {
        put((uint8_t)MODEL_DIGEST[i]);
    }
    for (uint32_t i = 0; i < name; i++) {
        put((uint8_t)MODEL_NAME[i]);
    }
    end();
    last_run = -1;
}

static void write_input(void *arena, const uint8_t *payload, uint32_t size)
{
    const uint32_t at = (size < 4U) ? MODEL_IN_LEN + 1U : get_word(payload, 4);
    if ((at > MODEL_IN_LEN) || ((size - 4U) > (MODEL_IN_LEN - at))) {
        refuse(BAD_RANGE);
        return;
    }
    (void)memcpy(&model_input(arena)[at], &payload[4], size - 4U);
    last_run = -1;
    begin('W' | REPLY, 0);
    end();
}

/* One run; by layer where the payload says so, or where the counter would not last for all. */
static void run(void *arena, const uint8_t *payload, uint32_t size)
{
    if (last_run != (int32_t)in.bytes[3]) {
        uint32_t started = now();
        if (((size > 0U) && (payload[0] != 0U)) || (counter() == SYSTICK)) {
            last_cycles = 0;
            (void)model_run_hooked(arena, layer_done, &started);
        } else {
            (void)model_run(arena);
            last_cycles = since(started);
        }
        last_run = (int32_t)in.bytes[3];
    }
    begin('R' | REPLY, 4);
    put_word(last_cycles, 4);
    end();
}

/* Bytes of the output, or cycles of layers. */
static void read_back(uint32_t kind, const void *arena, const uint8_t *payload, uint32_t size)
{
    const uint32_t all = (kind == (uint32_t)'O') ? MODEL_OUT_LEN : MODEL_LAYERS * 4U;
    const uint32_t at = (size == 6U) ? get_word(payload, 4) : all + 1U;
    const uint32_t count = (size == 6U) ? get_word(&payload[4], 2) : 0;
    if ((at > all) || (count > (all - at)) || (count > (uint32_t)EDGENET_SERIAL_PAYLOAD)) {
        refuse(BAD_RANGE);
        return;
    }
    begin(kind | REPLY, count);
    for (uint32_t i = at; i < at + count; i++) {
        put((kind == (uint32_t)'O') ? (uint8_t)model_output(arena)[i]
                                    : (layers[i / 4U] >> (8U * (i % 4U))) & 0xFFU);
    }
    end();
}

static void selftest(void *arena)
{
    const uint32_t found = (uint32_t)model_selftest(arena);
    begin('S' | REPLY, 4);
    put_word(found, 4);
    end();
}

static void answer(void *arena, uint32_t kind, const uint8_t *payload, uint32_t size)
{
    switch (kind) {
    case 'H':
        hello();
        break;
    case 'W':
        write_input(arena, payload, size);
        break;
    case 'R':
        run(arena, payload, size);
        break;
    case 'O':
    case 'L':
        read_back(kind, arena, payload, size);
        break;
    case 'S':
        selftest(arena);
        break;
    default:
        refuse(BAD_KIND);
        break;
    }
}

static void take(void *arena, uint8_t byte)
{
    in.bytes[in.have] = byte;
    in.have++;
    if (((in.have == 1U) && (byte != FIRST)) || ((in.have == 2U) && (byte != SECOND))) {
        /* a first byte may be followed by the real one */
        in.have = (byte == FIRST) ? 1U : 0U;
        in.bytes[0] = byte;
        return;
    }
    if (in.have < HEAD) {
        return;
    }
    const uint32_t size = get_word(&in.bytes[4], 2);
    if (size > EDGENET_SERIAL_PAYLOAD) {
        in.have = 0;
        return;
    }
    if (in.have < HEAD + size + 4U) {
        return;
    }
    in.have = 0;
    const int8_t *const checked = (const int8_t *)&in.bytes[2];
    const uint32_t crc = model_en_crc32(0, checked, (int32_t)(HEAD - 2U + size));
    if (crc != get_word(&in.bytes[HEAD + size], 4)) {
        refuse(BAD_CRC);
        return;
    }
    answer(arena, in.bytes[2], &in.bytes[HEAD], size);
}

void edgenet_serial_poll(void *arena)
{
    for (int32_t byte = edgenet_getc(); byte >= 0; byte = edgenet_getc()) {
        take(arena, (uint8_t)byte);
    }
}
