/* float: a dense f64 matrix product, written plainly; the compiler may use as wide vectors as its target has. */
#include "kernel.h"

#define N 256
static double a[N][N], b[N][N], c[N][N];

static uint64_t work(uint64_t sum) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) a[i][j] = (double)((i * j + (int)(sum & 7)) % 17), b[i][j] = (i + 2 * j) % 13, c[i][j] = 0;
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            for (int j = 0; j < N; j++) c[i][j] += a[i][k] * b[k][j];
    double total = 0;
    for (int i = 0; i < N; i++) total += c[i][(i * 7) % N];
    return mix(sum, bits(total));
}
