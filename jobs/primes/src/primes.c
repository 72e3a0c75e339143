/* Counts the primes up to N by a sieve, segment by segment, and finds the widest gap between two of them.
 *
 * Standard input: N. Standard output: one line of JSON.
 *
 * It keeps what it has found in /state/primes. A program that is killed is started again from its beginning, and finds
 * /state as it was when it last synced: so it writes its file, syncs, and goes on from it next time. A checkpoint is all of
 * /state at the moment of the sync, so there is no need for a second file and a rename. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEGMENT = 1 << 20 };

static const char *PATH = "/state/primes";

/* All that a restarted program must know. */
struct progress {
    uint64_t limit;
    uint64_t next; /* the first number that is not sieved yet */
    uint64_t count;
    uint64_t last; /* the last prime that was found */
    uint64_t gap;
    uint64_t gap_after;
};

static void fail(const char *what) {
    fprintf(stderr, "primes: %s\n", what);
    exit(2);
}

static struct progress begin(uint64_t limit) {
    struct progress found = {.limit = limit, .next = 2};
    struct progress kept;
    FILE *file = fopen(PATH, "rb");
    if (file) {
        if (fread(&kept, sizeof kept, 1, file) == 1 && kept.limit == limit) found = kept;
        fclose(file);
    }
    return found;
}

static void keep(const struct progress *progress) {
    FILE *file = fopen(PATH, "wb");
    if (!file || fwrite(progress, sizeof *progress, 1, file) != 1 || fflush(file)) fail("cannot write /state/primes");
    if (fsync(fileno(file))) fail("cannot sync /state/primes");
    fclose(file);
}

static void see(struct progress *progress, uint64_t prime) {
    if (progress->count > 0 && prime - progress->last > progress->gap) {
        progress->gap = prime - progress->last;
        progress->gap_after = progress->last;
    }
    progress->last = prime;
    progress->count++;
}

int main(void) {
    uint64_t limit;
    if (scanf("%" SCNu64, &limit) != 1 || limit < 2 || limit > UINT64_C(1000000000000)) {
        fail("the input is not a number from 2 to 1000000000000");
    }

    /* Small primes up to the root of N. */
    uint32_t root = 1;
    while ((uint64_t)root * root <= limit) root++;
    char *small = calloc(root + 1, 1);
    uint32_t *base = malloc((root + 1) * sizeof *base);
    char *composite = malloc(SEGMENT);
    if (!small || !base || !composite) fail("not enough memory");
    size_t bases = 0;
    for (uint64_t p = 2; p <= root; p++) {
        if (small[p]) continue;
        base[bases++] = (uint32_t)p;
        for (uint64_t n = p * p; n <= root; n += p) small[n] = 1;
    }

    struct progress progress = begin(limit);
    while (progress.next <= limit) {
        uint64_t low = progress.next;
        uint64_t high = low + SEGMENT - 1 < limit ? low + SEGMENT - 1 : limit;
        memset(composite, 0, SEGMENT);
        for (size_t i = 0; i < bases; i++) {
            uint64_t p = base[i];
            if (p * p > high) break;
            uint64_t first = (low + p - 1) / p * p;
            for (uint64_t n = first < p * p ? p * p : first; n <= high; n += p) composite[n - low] = 1;
        }
        for (uint64_t n = low; n <= high; n++) {
            if (!composite[n - low]) see(&progress, n);
        }
        progress.next = high + 1;
        keep(&progress);
    }

    printf("{\"limit\":%" PRIu64 ",\"primes\":%" PRIu64 ",\"last\":%" PRIu64 ",\"gap\":%" PRIu64 ",\"after\":%" PRIu64 "}\n",
           limit, progress.count, progress.last, progress.gap, progress.gap_after);
    return fflush(stdout) ? 2 : 0;
}
