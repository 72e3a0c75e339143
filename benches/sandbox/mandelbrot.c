/* float: a chain of dependent f64 operations that ends at a point nobody can predict. */
#include "kernel.h"

static uint64_t work(uint64_t sum) {
    uint64_t inside = 0;
    for (int row = 0; row < 200; row++) {
        for (int column = 0; column < 300; column++) {
            double cx = column / 100.0 - 2.2, cy = row / 100.0 - 1.0, x = 0, y = 0;
            int i = 0;
            while (i < 500) {
                double xx = x * x, yy = y * y;
                if (xx + yy > 4) break;
                y = 2 * x * y + cy;
                x = xx - yy + cx;
                i++;
            }
            inside += i;
        }
    }
    return mix(sum, inside);
}
