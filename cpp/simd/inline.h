// How the functions of the kernels are inlined. A level that must not inline everything defines CR_INLINE itself.
#pragma once

#if !defined(CR_INLINE)
#define CR_INLINE inline __attribute__((always_inline))
#define CR_LAMBDA __attribute__((always_inline))  // after a lambda's parameters
#endif
// Loops over register arrays must disappear: an array indexed at run time lives in memory.
#define CR_UNROLL _Pragma("GCC unroll 32")
