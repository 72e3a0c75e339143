/* memory: a walk along random pointers through 64 MiB; nearly every step misses the caches. */
#include "kernel.h"

#define N (1 << 24)
static uint32_t next[N];

static uint64_t work(uint64_t sum) {
    static int ready;
    if (!ready) {
        /* Sattolo's shuffle: one cycle through all places. */
        for (uint32_t i = 0; i < N; i++) next[i] = i;
        for (uint32_t i = N - 1; i > 0; i--) {
            uint32_t j = next_random() % i, t = next[i];
            next[i] = next[j], next[j] = t;
        }
        ready = 1;
    }
    uint32_t at = sum % N;
    for (int i = 0; i < 1000000; i++) at = next[at];
    return mix(sum, at);
}
