/* edgenet_serial.c on a board of QEMU's, whose CMSDK UART -serial connects. */
#include "board.h"
#include "edgenet_model.h"
#include "edgenet_serial.h"

static volatile uint32_t *const uart = (volatile uint32_t *)BOARD_UART; /* DATA STATE CTRL - DIV */
static int8_t arena[MODEL_ARENA_BYTES] __attribute__((aligned(16), section(".arena")));

int main(void);

int32_t edgenet_getc(void)
{
    return ((uart[1] & 2U) != 0U) ? (int32_t)(uart[0] & 0xFFU) : -1;
}

void edgenet_putc(uint8_t byte)
{
    while ((uart[1] & 1U) != 0U) {
    }
    uart[0] = byte;
}

int main(void)
{
    uart[4] = 16; /* the fastest */
    uart[2] = 3;  /* both directions */
    for (;;) {
        edgenet_serial_poll(arena);
    }
}
