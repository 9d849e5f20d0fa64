/* malloc and free between pages that nobody may touch, linked with --wrap: assembly, which no
 * sanitizer sees, cannot read or write beside its buffers without a fault.
 *
 * GUARD=behind: a buffer ends where the guard begins, so that its address is as odd as its size.
 * GUARD=before: it begins where the guard ends. */
#define _DEFAULT_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST = 4096 };

static struct {
    char *buffer;
    char *pages;
    size_t length;
} live[MOST];

void *__wrap_malloc(size_t size);
void __wrap_free(void *buffer);

void *__wrap_malloc(size_t size)
{
    const char *side = getenv("GUARD");
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t inside = ((size + page - 1U) / page) * page;
    for (size_t i = 0; i < MOST; i++) {
        if (live[i].buffer) {
            continue;
        }
        const size_t length = inside + (2U * page);
        char *pages = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (!side || (pages == MAP_FAILED) ||
            (mprotect(&pages[page], inside, PROT_READ | PROT_WRITE) != 0)) {
            abort();
        }
        live[i].pages = pages;
        live[i].length = length;
        live[i].buffer = &pages[page + ((strcmp(side, "behind") == 0) ? (inside - size) : 0U)];
        return live[i].buffer;
    }
    abort();
}

void __wrap_free(void *buffer)
{
    for (size_t i = 0; buffer && (i < MOST); i++) {
        if (live[i].buffer == buffer) {
            live[i].buffer = NULL;
            (void)munmap(live[i].pages, live[i].length);
            return;
        }
    }
    if (buffer) {
        abort();
    }
}
