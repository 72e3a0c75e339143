// A program of BOINC's: computes without end, and stops when its client says so through BOINC's own library.
#include <boinc/boinc_api.h>

int main() {
    boinc_init();
    volatile double x = 1.0;
    for (;;) {
        for (int i = 0; i < 2000000; i++) x = x * 1.0000001 + 1e-9;
        if (x > 1e6) x = 1.0;
    }
}
