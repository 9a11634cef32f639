/* The floating-point mode of x86-64 threads: read it, set it, and observe its effect on arithmetic. */
#include <stdint.h>
#include <xmmintrin.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

uint32_t get_mode(void) { return _mm_getcsr(); }
void set_mode(uint32_t mode) { _mm_setcsr(mode); }

/* The effect of the mode: 1 + 2^-30 and -1 - 2^-30 rounded, a subnormal product, a subnormal operand. */
void probe(float *out) {
  volatile float one = 1, small = 0x1p-30f, least_normal = 0x1p-126f, half = 0.5f, subnormal = 0x1p-140f, large = 0x1p60f;
  out[0] = one + small;
  out[1] = -one - small;
  out[2] = least_normal * half;
  out[3] = subnormal * large;
}

/* The mode of each of n threads in the caller's OpenMP pool; returns the number of threads. */
int worker_modes(int n, uint32_t *modes) {
#if defined(_OPENMP)
  int count = 0;
#pragma omp parallel num_threads(n)
  {
    modes[omp_get_thread_num()] = _mm_getcsr();
#pragma omp single
    count = omp_get_num_threads();
  }
  return count;
#else
  modes[0] = _mm_getcsr();
  return n > 0;
#endif
}
