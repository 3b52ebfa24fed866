/* The sun and four planets, n steps of a symplectic integrator: scalar doubles, divisions and square roots. */
#include "guest.h"

enum { BODIES = 5 };
static const double pi = 3.141592653589793, year = 365.24;

typedef struct {
    double x, y, z, vx, vy, vz, mass;
} Body;

static Body bodies[BODIES] = {
    {0, 0, 0, 0, 0, 0, 1},
    {4.84143144246472090, -1.16032004402742839, -0.103622044471123109, 0.00166007664274403694, 0.00769901118419740425,
     -0.0000690460016972063023, 0.000954791938424326609},
    {8.34336671824457987, 4.12479856412430479, -0.403523417114321381, -0.00276742510726411021, 0.00499852801234917238,
     0.0000230417297573763929, 0.000285885980666130812},
    {12.8943695621391310, -15.1111514016986312, -0.223307578892655734, 0.00296460137564761618, 0.00237847173959480950,
     -0.0000296589568540237556, 0.0000436624404335156298},
    {15.3796971148509165, -25.9193146099879641, 0.179258772950371181, 0.00268067772490389322, 0.00162824170038242295,
     -0.0000951592254519715870, 0.0000515138902046611451}};

static void advance(double dt) {
    for (int i = 0; i < BODIES; i++) {
        Body *a = &bodies[i];
        for (int j = i + 1; j < BODIES; j++) {
            Body *b = &bodies[j];
            double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            double square = dx * dx + dy * dy + dz * dz;
            double magnitude = dt / (square * square_root(square));
            a->vx -= dx * b->mass * magnitude, b->vx += dx * a->mass * magnitude;
            a->vy -= dy * b->mass * magnitude, b->vy += dy * a->mass * magnitude;
            a->vz -= dz * b->mass * magnitude, b->vz += dz * a->mass * magnitude;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        Body *a = &bodies[i];
        a->x += dt * a->vx, a->y += dt * a->vy, a->z += dt * a->vz;
    }
}

int main(int argc, char **argv, char **envp UNUSED) {
    u64 n = size_argument(argc, argv, 200000);
    for (int i = 0; i < BODIES; i++) {
        Body *a = &bodies[i];
        a->vx *= year, a->vy *= year, a->vz *= year;
        if (i) a->mass *= 4 * pi * pi;
    }
    bodies[0].mass = 4 * pi * pi;
    for (u64 i = 0; i < n; i++) advance(0.01);
    u64 hash = HASH_START;
    for (int i = 0; i < BODIES; i++) hash = mix(hash, double_bits(bodies[i].x) ^ double_bits(bodies[i].vy));
    put_checksum("nbody", hash);
    return 0;
}
