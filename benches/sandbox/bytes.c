/* SIMD: sums of absolute differences over bytes, left to the compiler's vectoriser: video coding, sequence search. */
#include "kernel.h"

#define SIDE 16
#define WIDTH 640
static uint8_t now[WIDTH * 160], before[WIDTH * 160];

static uint32_t difference(const uint8_t *a, const uint8_t *b) {
    uint32_t all = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            int d = a[y * WIDTH + x] - b[y * WIDTH + x];
            all += d < 0 ? -d : d;
        }
    return all;
}

static uint64_t work(uint64_t sum) {
    for (size_t i = 0; i < sizeof now; i++) now[i] = next_random() >> 56, before[i] = next_random() >> 56;
    for (int y = 0; y + SIDE <= 128; y += SIDE)
        for (int x = 0; x + SIDE + 32 <= WIDTH; x += SIDE) {
            uint32_t best = UINT32_MAX;
            for (int dy = 0; dy < 16; dy++)
                for (int dx = 0; dx < 32; dx++) {
                    uint32_t d = difference(now + y * WIDTH + x, before + (y + dy) * WIDTH + x + dx);
                    if (d < best) best = d;
                }
            sum = mix(sum, best);
        }
    return sum;
}
