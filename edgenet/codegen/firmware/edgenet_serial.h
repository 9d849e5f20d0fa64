/* A model behind a serial port: edgenet run, evaluate, verify and profile with --port speak to it.
 *
 * A board supplies two functions and calls a third, again and again:
 *
 *     int32_t edgenet_getc(void)      the next byte that has come, or -1 where none has
 *     void edgenet_putc(uint8_t byte) sends a byte, waiting for room
 *
 *     for (;;) {
 *         edgenet_serial_poll(arena);
 *     }
 *
 * docs/serial.md describes the frames.  It needs 4 bytes a layer, EDGENET_SERIAL_PAYLOAD and some
 * fifty bytes of RAM beside the arena. */
#ifndef EDGENET_SERIAL_H
#define EDGENET_SERIAL_H

#include <stdint.h>

/* Bytes that a frame carries at the most, 64 to 4096: more is faster, and takes as much RAM. */
#ifndef EDGENET_SERIAL_PAYLOAD
#define EDGENET_SERIAL_PAYLOAD 256
#endif
#if (EDGENET_SERIAL_PAYLOAD < 64) || (EDGENET_SERIAL_PAYLOAD > 4096)
#error "EDGENET_SERIAL_PAYLOAD must be from 64 to 4096"
#endif

#ifdef __cplusplus
extern "C" {
#endif

int32_t edgenet_getc(void);
void edgenet_putc(uint8_t byte);

/* Take what has come, answer what is whole.  Returns at once but for a run of the model.
 * arena: MODEL_ARENA_BYTES, aligned to 16, and left alone between calls. */
void edgenet_serial_poll(void *arena);

#ifdef __cplusplus
}
#endif

#endif
