/* branchy: quicksort of random numbers; half of the branches are mispredicted. */
#include "kernel.h"

#define N 200000
static uint32_t list[N];

static void sort(uint32_t *from, uint32_t *to) {
    while (to - from > 12) {
        uint32_t pivot = from[(to - from) / 2];
        uint32_t *low = from, *high = to - 1;
        while (low <= high) {
            while (*low < pivot) low++;
            while (*high > pivot) high--;
            if (low <= high) {
                uint32_t t = *low;
                *low++ = *high, *high-- = t;
            }
        }
        if (high + 1 - from < to - low) {
            sort(from, high + 1);
            from = low;
        } else {
            sort(low, to);
            to = high + 1;
        }
    }
    for (uint32_t *i = from + 1; i < to; i++) {
        uint32_t value = *i, *j = i;
        for (; j > from && j[-1] > value; j--) *j = j[-1];
        *j = value;
    }
}

static uint64_t work(uint64_t sum) {
    for (int i = 0; i < N; i++) list[i] = next_random() >> 32;
    sort(list, list + N);
    for (int i = 0; i < N; i += 1000) sum = mix(sum, list[i]);
    return sum;
}
