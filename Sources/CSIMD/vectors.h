// The vector operations that Swift's SIMD types lack, as functions of one expression each. Every module that imports
// them compiles them for its own instruction set; all are exact IEEE operations, so every instruction set agrees.
#pragma once
#include <stdint.h>

#define CSIMD static inline __attribute__((always_inline, const))

typedef float csimd_float4 __attribute__((ext_vector_type(4)));
typedef float csimd_float8 __attribute__((ext_vector_type(8)));
typedef float csimd_float16 __attribute__((ext_vector_type(16)));
typedef double csimd_double16 __attribute__((ext_vector_type(16)));
typedef double csimd_double8 __attribute__((ext_vector_type(8)));
typedef double csimd_double4 __attribute__((ext_vector_type(4)));
typedef int64_t csimd_long4 __attribute__((ext_vector_type(4)));
typedef int64_t csimd_long8 __attribute__((ext_vector_type(8)));
typedef int64_t csimd_long16 __attribute__((ext_vector_type(16)));
typedef uint8_t csimd_uchar4 __attribute__((ext_vector_type(4)));
typedef uint8_t csimd_uchar8 __attribute__((ext_vector_type(8)));
typedef uint8_t csimd_uchar16 __attribute__((ext_vector_type(16)));
typedef int32_t csimd_int4 __attribute__((ext_vector_type(4)));
typedef int32_t csimd_int8 __attribute__((ext_vector_type(8)));
typedef int32_t csimd_int16 __attribute__((ext_vector_type(16)));
typedef uint32_t csimd_uint4 __attribute__((ext_vector_type(4)));
typedef uint32_t csimd_uint8 __attribute__((ext_vector_type(8)));
typedef uint32_t csimd_uint16 __attribute__((ext_vector_type(16)));
typedef uint64_t csimd_ulong4 __attribute__((ext_vector_type(4)));
typedef uint64_t csimd_ulong8 __attribute__((ext_vector_type(8)));
typedef uint64_t csimd_ulong16 __attribute__((ext_vector_type(16)));

#define CSIMD_WIDTH(N)                                                                                                 \
    CSIMD csimd_float##N csimd_sqrt##N(csimd_float##N x) { return __builtin_elementwise_sqrt(x); }                     \
    CSIMD csimd_float##N csimd_from_bytes##N(csimd_uchar##N x) { return __builtin_convertvector(x, csimd_float##N); }  \
    CSIMD csimd_float##N csimd_from_int##N(csimd_int##N x) { return __builtin_convertvector(x, csimd_float##N); }      \
    CSIMD csimd_float##N csimd_from_uint##N(csimd_uint##N x) { return __builtin_convertvector(x, csimd_float##N); }    \
    /* High 32 bits of each 64-bit product. */                                                                         \
    CSIMD csimd_uint##N csimd_multiply_high##N(csimd_uint##N a, csimd_uint##N b) {                                     \
        return __builtin_convertvector((__builtin_convertvector(a, csimd_ulong##N)                                     \
            * __builtin_convertvector(b, csimd_ulong##N)) >> 32, csimd_uint##N);                                       \
    }                                                                                                                  \
    /* a * b + c, rounded once, without an FMA instruction. The product is exact in double; the sum is rounded to      \
       odd (Boldo and Melquiond 2008), so that rounding it again to float is correct. NaN compares false. */           \
    CSIMD csimd_float##N csimd_soft_fma##N(csimd_float##N a, csimd_float##N b, csimd_float##N c) {                     \
        csimd_double##N p = __builtin_convertvector(a, csimd_double##N) * __builtin_convertvector(b, csimd_double##N); \
        csimd_double##N d = __builtin_convertvector(c, csimd_double##N);                                               \
        csimd_double##N s = p + d, t = s - p, e = (p - (s - t)) + (d - t);                                             \
        csimd_long##N bits = (csimd_long##N)s;                                                                         \
        csimd_long##N inexact = (csimd_long##N)(e > 0.0) | (csimd_long##N)(e < 0.0);                                   \
        csimd_long##N even = (bits & 1) - 1;                                                                           \
        /* Away from zero where the error has the sign of the sum, towards it otherwise. */                            \
        csimd_long##N step = ((csimd_long##N)((e > 0.0) == (s > 0.0)) & 2) - 1;                                        \
        return __builtin_convertvector((csimd_double##N)(bits + (step & inexact & even)), csimd_float##N);             \
    }

CSIMD_WIDTH(4)
CSIMD_WIDTH(8)
CSIMD_WIDTH(16)
#undef CSIMD_WIDTH

/// Asks for the cache line of an address that need not be valid.
static inline __attribute__((always_inline)) void csimd_prefetch(const void *_Nonnull address) {
    __builtin_prefetch(address, 0, 3);
}

/// The same, but no nearer than the second-level cache.
static inline __attribute__((always_inline)) void csimd_prefetch_far(const void *_Nonnull address) {
    __builtin_prefetch(address, 0, 2);
}

/// The same address, of which the compiler no longer knows where it comes from.
static inline __attribute__((always_inline)) const float *_Nonnull csimd_opaque(const float *_Nonnull address) {
    __asm__("" : "+r"(address));
    return address;
}

static inline __attribute__((always_inline)) void csimd_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#if defined(__x86_64__)
// Includes what the operating system saves of the vector state.
CSIMD int csimd_cpu_has_avx2_fma(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
CSIMD int csimd_cpu_has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif
