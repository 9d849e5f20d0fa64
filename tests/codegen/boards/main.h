/* What docs/mcu.md calls of STM32's HAL, for this machine: the light is printed. */
#include "camera.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int dummy;
} DCMI_HandleTypeDef;
enum { DCMI_MODE_SNAPSHOT = 2, GPIO_PIN_RESET = 0, GPIO_PIN_SET = 1 };
#define LED_GPIO_Port ((void *)0)
#define LED_Pin 1

void blink(void);
void HAL_DCMI_FrameEventCallback(DCMI_HandleTypeDef *handle);
DCMI_HandleTypeDef hdcmi;

/* A DMA has addresses of 32 bits; so has this program, linked without -pie. */
static inline int HAL_DCMI_Start_DMA(DCMI_HandleTypeDef *handle, int mode, uint32_t to,
                                     uint32_t words)
{
    (void)mode;
    camera_bytes((void *)(uintptr_t)to, 4 * (size_t)words);
    HAL_DCMI_FrameEventCallback(handle);
    return 0;
}
static inline void SCB_InvalidateDCache_by_Addr(void *at, int32_t size) { (void)at, (void)size; }
static inline void HAL_GPIO_WritePin(void *port, int pin, int on)
{
    (void)port, (void)pin, printf("light %d\n", on);
}
static inline void Error_Handler(void) { exit(1); }

int main(void)
{
    blink();
    return 1;
}
