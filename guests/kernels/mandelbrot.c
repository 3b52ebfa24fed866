/* Escape times of the Mandelbrot set on an n by n grid. */
#include "guest.h"

int main(int argc, char **argv, char **envp UNUSED) {
    u64 n = size_argument(argc, argv, 200);
    u64 hash = HASH_START;
    for (u64 row = 0; row < n; row++) {
        double ci = 2.0 * (double)row / (double)n - 1.0;
        for (u64 column = 0; column < n; column++) {
            double cr = 3.0 * (double)column / (double)n - 2.0, zr = 0, zi = 0, rr = 0, ii = 0;
            u64 steps = 0;
            while (steps < 200 && rr + ii <= 4.0) {
                zi = 2.0 * zr * zi + ci;
                zr = rr - ii + cr;
                rr = zr * zr;
                ii = zi * zi;
                steps++;
            }
            hash = (hash ^ steps) * 0x100000001b3ull;
        }
    }
    put_checksum("mandelbrot", hash);
    return 0;
}
