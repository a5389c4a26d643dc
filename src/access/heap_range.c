/*
 * access/heap_range.c: the range kernels: 64 values make one word of bits. Portable versions, which compilers turn into
 * the baseline's vector instructions, and AVX2 ones chosen at run time.
 */
#include "access/heap_range.h"

#include <math.h>

#include "access/heap_int.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_AVX2 1
#endif

/* ---- constants to ranges ---- */

static uint64_t width_mask(unsigned width)
{
    return UINT64_MAX >> (64 - 8 * heap_width_bytes(width));
}

static void int_range(unsigned width, bool is_signed, HeapTest test, uint64_t c, HeapRange *out)
{
    uint64_t mask = width_mask(width);
    uint64_t min = is_signed ? (mask >> 1) + 1 : 0;
    uint64_t max = is_signed ? mask >> 1 : mask;
    bool empty = (test == HEAP_LT && c == min) || (test == HEAP_GT && c == max);
    uint64_t lo = test == HEAP_GE ? c : test == HEAP_GT ? c + 1 : test == HEAP_LT || test == HEAP_LE ? min : c;
    uint64_t hi = test == HEAP_LE ? c : test == HEAP_LT ? c - 1 : test == HEAP_GT || test == HEAP_GE ? max : c;
    /* The empty range is the complement of all. */
    out->lo = empty ? 0 : lo & mask;
    out->span = empty ? mask : (hi - lo) & mask;
    out->flip = (test == HEAP_NE) != empty ? UINT64_MAX : 0;
}

static void float_range(bool is_double, HeapTest test, double c, HeapRange *out)
{
    double below = is_double ? nextafter(c, -INFINITY) : (double)nextafterf((float)c, -INFINITY);
    double above = is_double ? nextafter(c, INFINITY) : (double)nextafterf((float)c, INFINITY);
    bool is_nan = isnan(c);
    double none_lo = 1;
    double none_hi = 0;
    out->flip = test == HEAP_NE ? UINT64_MAX : 0;
    switch (test) {
    case HEAP_LT:
        out->flo = !is_nan && c == -INFINITY ? none_lo : -INFINITY;
        out->fhi = is_nan ? INFINITY : c == -INFINITY ? none_hi : below;
        out->nan = false;
        break;
    case HEAP_LE:
        out->flo = -INFINITY;
        out->fhi = is_nan ? INFINITY : c;
        out->nan = is_nan;
        break;
    case HEAP_GT:
        out->flo = is_nan || c == INFINITY ? none_lo : above;
        out->fhi = is_nan || c == INFINITY ? none_hi : INFINITY;
        out->nan = !is_nan;
        break;
    case HEAP_GE:
        out->flo = is_nan ? none_lo : c;
        out->fhi = is_nan ? none_hi : INFINITY;
        out->nan = true;
        break;
    default: /* equal, or its complement */
        out->flo = is_nan ? none_lo : c;
        out->fhi = is_nan ? none_hi : c;
        out->nan = is_nan;
        break;
    }
}

void heap_range(unsigned width, HeapOrder order, HeapTest test, const HeapValue *c, HeapRange *out)
{
    ASSERT(width >= HEAP_W1 && width <= HEAP_W8);
    memset(out, 0, sizeof *out);
    if (order == HEAP_FLOAT) {
        ASSERT(width == HEAP_W4 || width == HEAP_W8);
        float_range(width == HEAP_W8, test, width == HEAP_W8 ? c->f64 : (double)c->f32, out);
        return;
    }
    int_range(width, order == HEAP_SIGNED, test, c->u64 & width_mask(width), out);
}

/* ---- portable kernels ---- */

/* 64 bytes of 0 or 1 to 64 bits. */
static inline uint64_t pack(const uint8_t m[64])
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t eight;
        memcpy(&eight, m + 8 * i, 8);
        /* Each product bit moves byte k's lowest bit to bit 56 + k. */
        bits |= (eight * UINT64_C(0x0102040810204080) >> 56) << (8 * i);
    }
    return bits;
}

#define PORTABLE_INT(name, type)                                                                                       \
    static inline uint64_t name(const type *x, const HeapRange *r)                                                     \
    {                                                                                                                  \
        uint8_t m[64];                                                                                                 \
        type lo = (type)r->lo;                                                                                         \
        type span = (type)r->span;                                                                                     \
        for (unsigned i = 0; i < 64; i++) {                                                                            \
            m[i] = (type)(x[i] - lo) <= span;                                                                          \
        }                                                                                                              \
        return pack(m);                                                                                                \
    }
#define PORTABLE_FLOAT(name, type)                                                                                     \
    static inline uint64_t name(const type *x, const HeapRange *r)                                                     \
    {                                                                                                                  \
        uint8_t m[64];                                                                                                 \
        type lo = (type)r->flo;                                                                                        \
        type hi = (type)r->fhi;                                                                                        \
        for (unsigned i = 0; i < 64; i++) {                                                                            \
            m[i] = (x[i] >= lo && x[i] <= hi) || (r->nan && x[i] != x[i]);                                             \
        }                                                                                                              \
        return pack(m);                                                                                                \
    }

typedef float __attribute__((may_alias)) PageF32;
typedef double __attribute__((may_alias)) PageF64;
PORTABLE_INT(block_u8, PageU8)
PORTABLE_INT(block_u16, PageU16)
PORTABLE_INT(block_u32, PageU32)
PORTABLE_INT(block_u64, PageU64)
PORTABLE_FLOAT(block_f32, PageF32)
PORTABLE_FLOAT(block_f64, PageF64)

/*
 * Runs a block kernel over n values. The last, partial block is copied first: behind the array there may be no more
 * page.
 */
#define RUNNER(name, type, block, attributes)                                                                          \
    attributes static void name(const uint8_t *data, unsigned n, const HeapRange *r, uint64_t *words)                  \
    {                                                                                                                  \
        const type *x = (const type *)(const void *)data;                                                              \
        for (unsigned w = 0; w < n / 64; w++) {                                                                        \
            if (words[w] != 0) {                                                                                       \
                words[w] &= block(x + (size_t)w * 64, r) ^ r->flip;                                                    \
            }                                                                                                          \
        }                                                                                                              \
        if (n % 64 != 0 && words[n / 64] != 0) {                                                                       \
            type rest[64];                                                                                             \
            memset(rest, 0, sizeof rest);                                                                              \
            memcpy(rest, x + n / 64 * 64, n % 64 * sizeof(type));                                                      \
            words[n / 64] &= block(rest, r) ^ r->flip;                                                                 \
        }                                                                                                              \
    }
typedef void (*Runner)(const uint8_t *data, unsigned n, const HeapRange *r, uint64_t *words);

RUNNER(run_u8, PageU8, block_u8, )
RUNNER(run_u16, PageU16, block_u16, )
RUNNER(run_u32, PageU32, block_u32, )
RUNNER(run_u64, PageU64, block_u64, )
RUNNER(run_f32, PageF32, block_f32, )
RUNNER(run_f64, PageF64, block_f64, )

/* ---- AVX2 kernels ---- */

#if defined(HAVE_AVX2)
#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i load(const void *p, unsigned i)
{
    return _mm256_loadu_si256((const __m256i_u *)p + i);
}

AVX2 static inline uint64_t vector_u8(const PageU8 *x, const HeapRange *r)
{
    __m256i lo = _mm256_set1_epi8((char)r->lo);
    __m256i span = _mm256_set1_epi8((char)r->span);
    uint64_t bits = 0;
    for (unsigned i = 0; i < 2; i++) {
        __m256i d = _mm256_sub_epi8(load(x, i), lo);
        __m256i in = _mm256_cmpeq_epi8(_mm256_min_epu8(d, span), d);
        bits |= (uint64_t)(uint32_t)_mm256_movemask_epi8(in) << (32 * i);
    }
    return bits;
}

AVX2 static inline uint64_t vector_u16(const PageU16 *x, const HeapRange *r)
{
    __m256i lo = _mm256_set1_epi16((short)r->lo);
    __m256i span = _mm256_set1_epi16((short)r->span);
    uint64_t bits = 0;
    for (unsigned i = 0; i < 2; i++) {
        __m256i a = _mm256_sub_epi16(load(x, 2 * i), lo);
        __m256i b = _mm256_sub_epi16(load(x, 2 * i + 1), lo);
        a = _mm256_cmpeq_epi16(_mm256_min_epu16(a, span), a);
        b = _mm256_cmpeq_epi16(_mm256_min_epu16(b, span), b);
        /* Packing works on halves of 128 bits: put the quarters back in order. */
        __m256i ab = _mm256_permute4x64_epi64(_mm256_packs_epi16(a, b), 0xd8);
        bits |= (uint64_t)(uint32_t)_mm256_movemask_epi8(ab) << (32 * i);
    }
    return bits;
}

AVX2 static inline uint64_t vector_u32(const PageU32 *x, const HeapRange *r)
{
    __m256i lo = _mm256_set1_epi32((int)r->lo);
    __m256i span = _mm256_set1_epi32((int)r->span);
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++) {
        __m256i d = _mm256_sub_epi32(load(x, i), lo);
        __m256i in = _mm256_cmpeq_epi32(_mm256_min_epu32(d, span), d);
        bits |= (uint64_t)(unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(in)) << (8 * i);
    }
    return bits;
}

AVX2 static inline uint64_t vector_u64(const PageU64 *x, const HeapRange *r)
{
    __m256i sign = _mm256_set1_epi64x(INT64_MIN);
    __m256i lo = _mm256_set1_epi64x((long long)r->lo);
    __m256i span = _mm256_xor_si256(_mm256_set1_epi64x((long long)r->span), sign);
    uint64_t bits = 0;
    for (unsigned i = 0; i < 16; i++) {
        __m256i d = _mm256_xor_si256(_mm256_sub_epi64(load(x, i), lo), sign);
        __m256i over = _mm256_cmpgt_epi64(d, span);
        bits |= (uint64_t)(unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(over)) << (4 * i);
    }
    return ~bits;
}

AVX2 static inline uint64_t vector_f32(const PageF32 *x, const HeapRange *r)
{
    __m256 lo = _mm256_set1_ps((float)r->flo);
    __m256 hi = _mm256_set1_ps((float)r->fhi);
    __m256 nan = _mm256_castsi256_ps(_mm256_set1_epi32(r->nan ? -1 : 0));
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++) {
        __m256 v = _mm256_loadu_ps((const float *)x + (size_t)i * 8);
        __m256 in = _mm256_and_ps(_mm256_cmp_ps(v, lo, _CMP_GE_OQ), _mm256_cmp_ps(v, hi, _CMP_LE_OQ));
        in = _mm256_or_ps(in, _mm256_and_ps(nan, _mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
        bits |= (uint64_t)(unsigned)_mm256_movemask_ps(in) << (8 * i);
    }
    return bits;
}

AVX2 static inline uint64_t vector_f64(const PageF64 *x, const HeapRange *r)
{
    __m256d lo = _mm256_set1_pd(r->flo);
    __m256d hi = _mm256_set1_pd(r->fhi);
    __m256d nan = _mm256_castsi256_pd(_mm256_set1_epi64x(r->nan ? -1 : 0));
    uint64_t bits = 0;
    for (unsigned i = 0; i < 16; i++) {
        __m256d v = _mm256_loadu_pd((const double *)x + (size_t)i * 4);
        __m256d in = _mm256_and_pd(_mm256_cmp_pd(v, lo, _CMP_GE_OQ), _mm256_cmp_pd(v, hi, _CMP_LE_OQ));
        in = _mm256_or_pd(in, _mm256_and_pd(nan, _mm256_cmp_pd(v, v, _CMP_UNORD_Q)));
        bits |= (uint64_t)(unsigned)_mm256_movemask_pd(in) << (4 * i);
    }
    return bits;
}

RUNNER(run_vector_u8, PageU8, vector_u8, AVX2)
RUNNER(run_vector_u16, PageU16, vector_u16, AVX2)
RUNNER(run_vector_u32, PageU32, vector_u32, AVX2)
RUNNER(run_vector_u64, PageU64, vector_u64, AVX2)
RUNNER(run_vector_f32, PageF32, vector_f32, AVX2)
RUNNER(run_vector_f64, PageF64, vector_f64, AVX2)

static const Runner vector_runners[2][HEAP_W8 + 1] = {
    {NULL, run_vector_u8, run_vector_u16, run_vector_u32, run_vector_u64},
    {NULL, NULL, NULL, run_vector_f32, run_vector_f64},
};

bool heap_range_has_vector(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}
#else
bool heap_range_has_vector(void)
{
    return false;
}
#endif

static const Runner runners[2][HEAP_W8 + 1] = {
    {NULL, run_u8, run_u16, run_u32, run_u64},
    {NULL, NULL, NULL, run_f32, run_f64},
};

void heap_range_apply_portable(unsigned width, bool is_float, const uint8_t *data, unsigned n, const HeapRange *r,
                               uint64_t *words)
{
    ASSERT(width >= HEAP_W1 && width <= HEAP_W8 && runners[is_float][width] != NULL);
    runners[is_float][width](data, n, r, words);
}

void heap_range_apply(unsigned width, bool is_float, const uint8_t *data, unsigned n, const HeapRange *r,
                      uint64_t *words)
{
#if defined(HAVE_AVX2)
    if (heap_range_has_vector()) {
        ASSERT(width >= HEAP_W1 && width <= HEAP_W8 && vector_runners[is_float][width] != NULL);
        vector_runners[is_float][width](data, n, r, words);
        return;
    }
#endif
    heap_range_apply_portable(width, is_float, data, n, r, words);
}
