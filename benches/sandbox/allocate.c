/* allocation: binary trees built and thrown away; malloc and free of the system's own library (native) and of wasi-libc. */
#include "kernel.h"

typedef struct Tree { struct Tree *left, *right; } Tree;

static Tree *grow(int depth) {
    Tree *tree = malloc(sizeof *tree);
    if (!tree) abort();
    tree->left = depth ? grow(depth - 1) : NULL;
    tree->right = depth ? grow(depth - 1) : NULL;
    return tree;
}

static uint32_t count(const Tree *tree) { return tree->left ? 1 + count(tree->left) + count(tree->right) : 1; }

static void fell(Tree *tree) {
    if (tree->left) fell(tree->left), fell(tree->right);
    free(tree);
}

static uint64_t work(uint64_t sum) {
    for (int i = 0; i < 8; i++) {
        Tree *tree = grow(13);
        sum = mix(sum, count(tree));
        fell(tree);
    }
    return sum;
}
