/* What docs/mcu.md calls of the Pico SDK, for this machine: the light is printed. */
#include "camera.h"

#include <stdbool.h>
#include <stdint.h>

#define PICO_DEFAULT_LED_PIN 25
#define GPIO_OUT 1

static inline void gpio_init(unsigned pin) { (void)pin; }
static inline void gpio_set_dir(unsigned pin, bool out) { (void)pin, (void)out; }
static inline void gpio_put(unsigned pin, bool on) { (void)pin, printf("light %d\n", (int)on); }

void camera_start(void) {}
void camera_row(uint8_t *row) { camera_bytes(row, 640); }
