/* integer: modular powers by 64 x 64 -> 128 bit multiplication (Montgomery); what ed25519, RSA and number theory are made of. */
#include "kernel.h"

#define P 0xffffffffffffffc5u /* the largest prime below 2^64 */

static uint64_t inverse(void) {
    uint64_t x = P;
    for (int i = 0; i < 6; i++) x *= 2 - P * x;
    return -x;
}

static uint64_t multiply(uint64_t a, uint64_t b, uint64_t inv) {
    unsigned __int128 t = (unsigned __int128)a * b;
    uint64_t m = (uint64_t)t * inv;
    unsigned __int128 u = (unsigned __int128)m * P;
    uint64_t carry = (uint64_t)t != 0;
    uint64_t high = (uint64_t)(t >> 64), add = (uint64_t)(u >> 64);
    uint64_t r = high + add;
    uint64_t over = r < high;
    r += carry;
    over |= r < carry;
    return over || r >= P ? r - P : r;
}

static uint64_t work(uint64_t sum) {
    uint64_t inv = inverse();
    for (int i = 0; i < 500; i++) {
        uint64_t x = next_random() % P, y = 1;
        for (uint64_t e = P - 2; e; e >>= 1) {
            if (e & 1) y = multiply(y, x, inv);
            x = multiply(x, x, inv);
        }
        sum = mix(sum, y);
    }
    return sum;
}
