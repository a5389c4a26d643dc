/*
 * base/rng.c: xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018), seeded
 * through splitmix64 (Steele, Lea and Flood 2014) as its authors advise.
 */
#include "base/rng.h"

#include "base/check.h"

static const uint64_t SPLITMIX_STEP = UINT64_C(0x9e3779b97f4a7c15);

uint64_t mix64(uint64_t x)
{
    x += SPLITMIX_STEP;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

void rng_seed(Rng *r, uint64_t seed)
{
    /* Four consecutive outputs of splitmix64 are never all zero, the one state xoshiro must not have. */
    for (int i = 0; i < 4; i++) {
        r->s[i] = mix64(seed + (uint64_t)i * SPLITMIX_STEP);
    }
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_next(Rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

/* Lemire's method (2019): the high half of a 128-bit product, rejecting the few low halves that would bias it. */
uint64_t rng_below(Rng *r, uint64_t bound)
{
    ASSERT(bound > 0);
    unsigned __int128 product = (unsigned __int128)rng_next(r) * bound;
    if ((uint64_t)product < bound) {
        uint64_t threshold = -bound % bound;
        while ((uint64_t)product < threshold) {
            product = (unsigned __int128)rng_next(r) * bound;
        }
    }
    return (uint64_t)(product >> 64);
}

double rng_unit(Rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1.0p-53;
}
