/* branchy: a small stack machine that counts primes; one loop around one large switch. */
#include "kernel.h"

enum { PUSH, LOAD, STORE, ADD, SUB, MUL, MOD, LESS, EQUAL, JUMP, JUMP_IF, JUMP_IF_NOT, DUP, DROP, INCREMENT, HALT };
enum { COUNT, N, D, LIMIT };

static const int32_t CODE[] = {
    /*  0 */ PUSH, 2, STORE, N,
    /*  2 */ LOAD, N, LOAD, LIMIT, LESS, 0, JUMP_IF_NOT, 23,
    /*  6 */ PUSH, 2, STORE, D,
    /*  8 */ LOAD, N, LOAD, D, LOAD, D, MUL, 0, LESS, 0, JUMP_IF, 20,
    /* 14 */ LOAD, N, LOAD, D, MOD, 0, JUMP_IF_NOT, 21,
    /* 18 */ INCREMENT, D, JUMP, 8,
    /* 20: n is prime */ INCREMENT, COUNT,
    /* 21 */ INCREMENT, N, JUMP, 2,
    /* 23 */ HALT, 0,
};

static int32_t run(const int32_t *code, int32_t *var) {
    int32_t stack[64], *top = stack;
    for (const int32_t *at = code;; at += 2) {
        int32_t arg = at[1];
        switch (at[0]) {
        case PUSH: *top++ = arg; break;
        case LOAD: *top++ = var[arg]; break;
        case STORE: var[arg] = *--top; break;
        case ADD: top--, top[-1] += top[0]; break;
        case SUB: top--, top[-1] -= top[0]; break;
        case MUL: top--, top[-1] *= top[0]; break;
        case MOD: top--, top[-1] %= top[0]; break;
        case LESS: top--, top[-1] = top[-1] < top[0]; break;
        case EQUAL: top--, top[-1] = top[-1] == top[0]; break;
        case JUMP: at = code + 2 * arg - 2; break;
        case JUMP_IF: if (*--top) at = code + 2 * arg - 2; break;
        case JUMP_IF_NOT: if (!*--top) at = code + 2 * arg - 2; break;
        case DUP: *top = top[-1], top++; break;
        case DROP: top--; break;
        case INCREMENT: var[arg]++; break;
        default: return var[0];
        }
    }
}

static uint64_t work(uint64_t sum) {
    int32_t var[4] = {0, 0, 0, 20000};
    return mix(sum, run(CODE, var));
}
