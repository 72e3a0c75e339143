/* What every kernel shares: how often to do it (argument 1; 0 only starts and ends), and one checksum printed at the end. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state = 0x9e3779b97f4a7c15u;

/* xorshift64*: the same numbers everywhere. */
static inline uint64_t next_random(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1du;
}

static inline uint64_t mix(uint64_t sum, uint64_t value) {
    return (sum ^ value) * 0x100000001b3u;
}

static inline uint64_t bits(double value) {
    uint64_t all;
    memcpy(&all, &value, sizeof all);
    return all;
}

/* One round of the kernel; its checksum so far goes in and out. */
static uint64_t work(uint64_t sum);

int main(int argc, char **argv) {
    long rounds = argc > 1 ? atol(argv[1]) : 1;
    uint64_t sum = 0xcbf29ce484222325u;
    for (long i = 0; i < rounds; i++) sum = work(sum);
    printf("%016llx\n", (unsigned long long)sum);
    return 0;
}
