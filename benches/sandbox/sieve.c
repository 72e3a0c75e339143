/* integer: Eratosthenes' sieve over bytes; tight loops of stores with a stride. */
#include "kernel.h"

#define N (1 << 20)
static uint8_t composite[N];

static uint64_t work(uint64_t sum) {
    memset(composite, 0, sizeof composite);
    uint32_t primes = 0;
    for (uint32_t i = 2; i < N; i++) {
        if (composite[i]) continue;
        primes++;
        for (uint64_t j = (uint64_t)i * i; j < N; j += i) composite[j] = 1;
    }
    return mix(sum, primes);
}
