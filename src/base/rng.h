/*
 * base/rng.h: a small seeded generator (xoshiro256**, Blackman and Vigna 2018), for tests, the deterministic scheduler,
 * random eviction and sampling. Not for secrets: those come from os_random_bytes.
 */
#ifndef RDB_BASE_RNG_H
#define RDB_BASE_RNG_H

#include <stdint.h>

typedef struct Rng {
    uint64_t s[4];
} Rng;

void rng_seed(Rng *r, uint64_t seed); /* through splitmix64, any seed is fine */
uint64_t rng_next(Rng *r);
uint64_t rng_below(Rng *r, uint64_t bound); /* 0 .. bound-1, unbiased; bound > 0 */
double rng_unit(Rng *r);                    /* [0, 1) */
/* One mixing step (splitmix64's finaliser): a hash for integers. */
uint64_t mix64(uint64_t x);

#endif
