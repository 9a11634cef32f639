/* The second reference: plain loops over fmaf and fma in C, compiled independently of the library.
 *
 * It contains fma over arrays, the matrix product as one chain per output with any strides, and a sweep that runs a
 * matrix product under test over every m, n, k and transposition and compares every bit. Build: see __init__.py.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* On x86-64 the loops are also compiled for FMA, where fmaf and fma are single instructions with the same results. */
#if defined(__x86_64__) && defined(__GNUC__)
#define WITH_FMA __attribute__((target("fma")))
#define HAS_FMA() __builtin_cpu_supports("fma")
#else
#define WITH_FMA
#define HAS_FMA() 0
#endif
#define INLINE static inline __attribute__((always_inline))

/* ---- fma over arrays ---- */

INLINE void fma32_loop(int64_t n, const float *a, const float *b, const float *c, float *out) {
  for (int64_t i = 0; i < n; i++) out[i] = fmaf(a[i], b[i], c[i]);
}

INLINE void fma64_loop(int64_t n, const double *a, const double *b, const double *c, double *out) {
  for (int64_t i = 0; i < n; i++) out[i] = fma(a[i], b[i], c[i]);
}

WITH_FMA static void fma32_fast(int64_t n, const float *a, const float *b, const float *c, float *out) {
  fma32_loop(n, a, b, c, out);
}

WITH_FMA static void fma64_fast(int64_t n, const double *a, const double *b, const double *c, double *out) {
  fma64_loop(n, a, b, c, out);
}

void oracle_fma32(int64_t n, const float *a, const float *b, const float *c, float *out) {
  if (HAS_FMA()) fma32_fast(n, a, b, c, out);
  else fma32_loop(n, a, b, c, out);
}

void oracle_fma64(int64_t n, const double *a, const double *b, const double *c, double *out) {
  if (HAS_FMA()) fma64_fast(n, a, b, c, out);
  else fma64_loop(n, a, b, c, out);
}

/* ---- matrix product: c (m, n) = a (m, k) b (k, n), element strides ---- */

typedef struct {
  int64_t m, n, k;
  const void *a;
  int64_t rs_a, cs_a;
  const void *b;
  int64_t rs_b, cs_b;
  void *c;
  int64_t rs_c;
} Product;

INLINE void product32(const Product *p) {
  const float *a = p->a, *b = p->b;
  float *c = p->c;
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t j = 0; j < p->n; j++) {
      float sum = 0;
      for (int64_t l = 0; l < p->k; l++)
        sum = fmaf(a[i * p->rs_a + l * p->cs_a], b[l * p->rs_b + j * p->cs_b], sum);
      c[i * p->rs_c + j] = sum;
    }
}

INLINE void product64(const Product *p) {
  const double *a = p->a, *b = p->b;
  double *c = p->c;
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t j = 0; j < p->n; j++) {
      double sum = 0;
      for (int64_t l = 0; l < p->k; l++)
        sum = fma(a[i * p->rs_a + l * p->cs_a], b[l * p->rs_b + j * p->cs_b], sum);
      c[i * p->rs_c + j] = sum;
    }
}

WITH_FMA static void product32_fast(const Product *p) { product32(p); }
WITH_FMA static void product64_fast(const Product *p) { product64(p); }

/* The signature of the function under test, chainrule_matmul. */
typedef int (*MatmulFn)(int is_f64, int64_t m, int64_t n, int64_t k, const void *a, int64_t rs_a, int64_t cs_a,
                        const void *b, int64_t rs_b, int64_t cs_b, void *c, int64_t rs_c);

int oracle_matmul(int is_f64, int64_t m, int64_t n, int64_t k, const void *a, int64_t rs_a, int64_t cs_a,
                  const void *b, int64_t rs_b, int64_t cs_b, void *c, int64_t rs_c) {
  Product p = {m, n, k, a, rs_a, cs_a, b, rs_b, cs_b, c, rs_c};
  if (is_f64) {
    if (HAS_FMA()) product64_fast(&p);
    else product64(&p);
  } else {
    if (HAS_FMA()) product32_fast(&p);
    else product32(&p);
  }
  return 0;
}

/* ---- arrays of either type, as bit patterns ---- */

#define GUARD 16 /* padding elements before and after every array, which must not be read or written */

static uint64_t get(const void *array, int is_f64, int64_t i) {
  return is_f64 ? ((const uint64_t *)array)[i] : ((const uint32_t *)array)[i];
}

static void put(void *array, int is_f64, int64_t i, uint64_t bits) {
  if (is_f64) ((uint64_t *)array)[i] = bits;
  else ((uint32_t *)array)[i] = (uint32_t)bits;
}

static int same(int is_f64, uint64_t x, uint64_t y) {
  uint64_t infinity = is_f64 ? 0x7ff0000000000000u : 0x7f800000u;
  uint64_t sign = is_f64 ? 1ull << 63 : 1ull << 31;
  return x == y || ((x & ~sign) > infinity && (y & ~sign) > infinity); /* all NaNs are equal */
}

static void *element(void *array, int is_f64, int64_t i) { return (char *)array + i * (is_f64 ? 8 : 4); }

/* count elements between two guards, all set to `bits`; the first element has index GUARD */
static void *new_array(int is_f64, int64_t count, uint64_t bits) {
  void *array = malloc((count + 2 * GUARD) * (is_f64 ? 8 : 4));
  if (!array) abort();
  for (int64_t i = 0; i < count + 2 * GUARD; i++) put(array, is_f64, i, bits);
  return array;
}

/* ---- values ---- */

static uint64_t mix(uint64_t x) { /* splitmix64: one output of a counter */
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static const uint32_t SPECIAL32[16] = {
    0, 0x80000000, 0, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x80400000,
    0x00800000, 0x80800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x3f800000};
static const uint64_t SPECIAL64[16] = {
    0, 1ull << 63, 0, 1ull << 63, 1, 0x8000000000000001u, 0x000fffffffffffffu, 0x8008000000000000u,
    0x0010000000000000u, 0x8010000000000000u, 0x7fefffffffffffffu, 0xffefffffffffffffu,
    0x7ff0000000000000u, 0xfff0000000000000u, 0x7ff8000000000000u, 0x3ff0000000000000u};

/* Random sign and mantissa, 2^-16 <= |value| < 2^16; with `specials` one in 16 is a special value. */
static uint64_t value(int is_f64, int specials, uint64_t r) {
  uint64_t sign = r >> 63, exponent = (r >> 53) % 32 - 16;
  if (specials && (r & 15) == 0) return is_f64 ? SPECIAL64[r >> 4 & 15] : SPECIAL32[r >> 4 & 15];
  if (is_f64) return sign << 63 | (1023 + exponent) << 52 | (mix(r) >> 12);
  return sign << 31 | (127 + exponent) << 23 | (r >> 8 & 0x7fffff);
}

/* ---- the sweep ---- */

enum { CANARY = 0x5ca1ab1e }; /* bit pattern of C and its padding before the call */

typedef struct {
  int is_f64, specials;
  uint64_t seed;
  int64_t m, n, k;
} Case;

/* write rows x columns values in both layouts: row-major with leading dimension ld, column-major with ld_t */
static void fill(const Case *s, uint64_t seed, int64_t rows, int64_t columns, void *plain, int64_t ld, void *transposed,
                 int64_t ld_t) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) {
      uint64_t bits = value(s->is_f64, s->specials, mix(seed + (uint64_t)(i * columns + j)));
      put(plain, s->is_f64, GUARD + i * ld + j, bits);
      put(transposed, s->is_f64, GUARD + j * ld_t + i, bits);
    }
}

/* 1 if c equals `expected` and its padding still holds the canary */
static int matches(const Case *s, const void *c, int64_t ld, const void *expected) {
  int f64 = s->is_f64;
  for (int64_t i = 0; i < GUARD; i++)
    if (get(c, f64, i) != CANARY || get(c, f64, GUARD + s->m * ld + i) != CANARY) return 0;
  for (int64_t i = 0; i < s->m; i++)
    for (int64_t j = 0; j < ld; j++) {
      uint64_t got = get(c, f64, GUARD + i * ld + j);
      if (j < s->n ? !same(f64, got, get(expected, f64, GUARD + i * s->n + j)) : got != CANARY) return 0;
    }
  return 1;
}

/* Run one shape in all four transpositions; returns a mask of those that differ: bit 0 NN, 1 TN, 2 NT, 3 TT. */
static int check(MatmulFn fn, const Case *s) {
  uint64_t r = mix(s->seed ^ mix((uint64_t)(s->m << 42 ^ s->n << 21 ^ s->k)));
  int f64 = s->is_f64;
  int64_t m = s->m, n = s->n, k = s->k;
  int64_t lda[2] = {k + (r & 3), m + (r >> 2 & 3)}, ldb[2] = {n + (r >> 4 & 3), k + (r >> 6 & 3)};
  int64_t ldc = n + (r >> 8 & 3);
  uint64_t nan = f64 ? SPECIAL64[14] : SPECIAL32[14]; /* propagates if padding is read */
  void *a[2] = {new_array(f64, m * lda[0], nan), new_array(f64, k * lda[1], nan)};
  void *b[2] = {new_array(f64, k * ldb[0], nan), new_array(f64, n * ldb[1], nan)};
  void *expected = new_array(f64, m * n, CANARY);
  fill(s, r, m, k, a[0], lda[0], a[1], lda[1]);
  fill(s, ~r, k, n, b[0], ldb[0], b[1], ldb[1]);
  oracle_matmul(f64, m, n, k, element(a[0], f64, GUARD), lda[0], 1, element(b[0], f64, GUARD), ldb[0], 1,
                element(expected, f64, GUARD), n);
  int mask = 0;
  for (int t = 0; t < 4; t++) {
    int ta = t & 1, tb = t >> 1;
    void *c = new_array(f64, m * ldc, CANARY);
    int rc = fn(f64, m, n, k, element(a[ta], f64, GUARD), ta ? 1 : lda[0], ta ? lda[1] : 1,
                element(b[tb], f64, GUARD), tb ? 1 : ldb[0], tb ? ldb[1] : 1, element(c, f64, GUARD), ldc);
    if (rc != 0 || !matches(s, c, ldc, expected)) mask |= 1 << t;
    free(c);
  }
  free(a[0]), free(a[1]), free(b[0]), free(b[1]), free(expected);
  return mask;
}

int check_matmul(MatmulFn fn, int is_f64, int specials, uint64_t seed, int64_t m, int64_t n, int64_t k) {
  Case s = {is_f64, specials, seed, m, n, k};
  return check(fn, &s);
}

/* Every m, n, k in 0 .. max_dim and all transpositions. Returns the number of cases that differ; *cases is the number
 * of cases; first = m, n, k and the mask of `check` for the first shape that differs (unchanged if none does). */
int64_t sweep_matmul(MatmulFn fn, int is_f64, int specials, uint64_t seed, int64_t max_dim, int64_t *cases,
                     int64_t *first) {
  int64_t differing = 0;
  *cases = 0;
  for (int64_t m = 0; m <= max_dim; m++)
    for (int64_t n = 0; n <= max_dim; n++)
      for (int64_t k = 0; k <= max_dim; k++) {
        int mask = check_matmul(fn, is_f64, specials, seed, m, n, k);
        if (mask && !differing) first[0] = m, first[1] = n, first[2] = k, first[3] = mask;
        for (int t = 0; t < 4; t++) differing += mask >> t & 1;
        *cases += 4;
      }
  return differing;
}
