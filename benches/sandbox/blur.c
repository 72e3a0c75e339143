/* SIMD: a picture blurred with explicit vectors of four f32, the width that WASM has. */
#include "kernel.h"

typedef float Lanes __attribute__((vector_size(16)));
#define WIDTH 512
#define HEIGHT 256
static Lanes from[HEIGHT][WIDTH], to[HEIGHT][WIDTH];

static uint64_t work(uint64_t sum) {
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) from[y][x] = (Lanes){(float)(x & 15), (float)(y & 15), (float)(x + y), (float)(sum & 7)};
    for (int pass = 0; pass < 8; pass++) {
        for (int y = 1; y < HEIGHT - 1; y++)
            for (int x = 1; x < WIDTH - 1; x++)
                to[y][x] = (from[y][x - 1] + from[y][x] * 4 + from[y][x + 1] + from[y - 1][x] + from[y + 1][x]) * 0.125f;
        memcpy(from, to, sizeof from);
    }
    double total = 0;
    for (int i = 0; i < HEIGHT; i++) total += from[i][i][i & 3];
    return mix(sum, bits(total));
}
