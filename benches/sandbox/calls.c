/* calls: recursion, and functions chosen at run time through a table. */
#include "kernel.h"

typedef uint64_t (*Step)(uint64_t);
static uint64_t add(uint64_t x) { return x + 0x9e3779b97f4a7c15u; }
static uint64_t xor(uint64_t x) { return x ^ x >> 29; }
static uint64_t mul(uint64_t x) { return x * 0xbf58476d1ce4e5b9u; }
static uint64_t turn(uint64_t x) { return x << 21 | x >> 43; }
static Step steps[4] = {add, xor, mul, turn};

__attribute__((noinline)) static uint32_t fibonacci(uint32_t n) {
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t work(uint64_t sum) {
    for (int i = 0; i < 300000; i++) sum = steps[sum >> 62](sum);
    return mix(sum, fibonacci(25));
}
