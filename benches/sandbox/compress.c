/* a real program: bzip2 1.0.8 compresses and expands text; its sources come from the crate bzip2-sys. */
#include "kernel.h"
#include "bzlib.h"

void bz_internal_error(int code) { (void)code, abort(); }

#define SIZE (1 << 20)
static char text[SIZE], packed[SIZE + SIZE / 100 + 600], again[SIZE];

/* Words of a small vocabulary, the first of them most often. */
static void write_text(void) {
    char words[256][8];
    for (int i = 0; i < 256; i++)
        for (int j = 0; j < 8; j++) words[i][j] = 'a' + next_random() % 26;
    for (size_t at = 0; at < SIZE;) {
        uint64_t r = next_random();
        int word = (r & 255) * (r >> 8 & 255) >> 8, length = 2 + word % 6;
        for (int j = 0; j < length && at < SIZE; j++) text[at++] = words[word][j];
        if (at < SIZE) text[at++] = r >> 60 ? ' ' : '\n';
    }
}

static uint64_t work(uint64_t sum) {
    write_text();
    unsigned size = sizeof packed, whole = sizeof again;
    if (BZ2_bzBuffToBuffCompress(packed, &size, text, SIZE, 9, 0, 0) != BZ_OK) abort();
    if (BZ2_bzBuffToBuffDecompress(again, &whole, packed, size, 0, 0) != BZ_OK) abort();
    if (whole != SIZE || memcmp(text, again, SIZE)) abort();
    for (unsigned i = 0; i < size; i += 64) sum = mix(sum, (uint8_t)packed[i]);
    return mix(sum, size);
}
