/* A camera that sends frames.bin, as the library's class is called. */
#include "Arduino.h"
#include "camera.h"

enum { QCIF, RGB565 };

static struct {
    int begin(int, int, int) { return 1; }
    int width() { return 176; }
    int height() { return 144; }
    void readFrame(void *frame) { camera_bytes(frame, 2 * 176 * 144); }
} Camera;

void setup();
void loop();

int main()
{
    setup();
    for (;;) {
        loop();
    }
}
