/* memory: a[i] = b[i] + k * c[i] over arrays that no cache holds; bandwidth. */
#include "kernel.h"

#define N (4 << 20)
static double a[N], b[N], c[N];

static uint64_t work(uint64_t sum) {
    static int ready;
    if (!ready) {
        for (int i = 0; i < N; i++) b[i] = i & 1023, c[i] = i & 511;
        ready = 1;
    }
    double k = sum & 7;
    for (int i = 0; i < N; i++) a[i] = b[i] + k * c[i];
    return mix(sum, bits(a[sum % N]));
}
