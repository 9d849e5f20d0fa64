/* What docs/mcu.md's sketch calls of Arduino, for this machine: the light is printed. */
#include <stdint.h>
#include <stdio.h>

enum { LOW, HIGH, OUTPUT, LED_BUILTIN };

static inline void pinMode(int, int) {}
static inline void delay(int) {}
static inline void digitalWrite(int, int value) { printf("light %d\n", value); }

static struct {
    void begin(long) {}
    void println(const char *text) { printf("%s\n", text); }
} Serial;
