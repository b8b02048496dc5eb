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
typedef uint16_t csimd_ushort32 __attribute__((ext_vector_type(32)));
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
    CSIMD csimd_double##N csimd_to_double##N(csimd_float##N x) { return __builtin_convertvector(x, csimd_double##N); }   \
    CSIMD csimd_float##N csimd_from_bytes##N(csimd_uchar##N x) { return __builtin_convertvector(x, csimd_float##N); }  \
    CSIMD csimd_float##N csimd_from_int##N(csimd_int##N x) { return __builtin_convertvector(x, csimd_float##N); }      \
    CSIMD csimd_float##N csimd_from_uint##N(csimd_uint##N x) { return __builtin_convertvector(x, csimd_float##N); }    \
    /* High 32 bits of each 64-bit product. */                                                                         \
    CSIMD csimd_uint##N csimd_multiply_high##N(csimd_uint##N a, csimd_uint##N b) {                                     \
        return __builtin_convertvector((__builtin_convertvector(a, csimd_ulong##N)                                     \
            * __builtin_convertvector(b, csimd_ulong##N)) >> 32, csimd_uint##N);                                       \
    }                                                                                                                  \
    /* a * b + c without an FMA instruction. The product is exact in double; the sum is rounded to odd (Boldo and       \
       Melquiond 2008), so that rounding it again to float is correct. NaN compares false. */                          \
    CSIMD csimd_double##N csimd_odd_fma##N(csimd_float##N a, csimd_float##N b, csimd_float##N c) {                     \
        csimd_double##N p = __builtin_convertvector(a, csimd_double##N) * __builtin_convertvector(b, csimd_double##N); \
        csimd_double##N d = __builtin_convertvector(c, csimd_double##N);                                               \
        csimd_double##N s = p + d, t = s - p, e = (p - (s - t)) + (d - t);                                             \
        csimd_long##N bits = (csimd_long##N)s;                                                                         \
        csimd_long##N inexact = (csimd_long##N)(e > 0.0) | (csimd_long##N)(e < 0.0);                                   \
        csimd_long##N even = (bits & 1) - 1;                                                                           \
        /* Away from zero where the error has the sign of the sum, towards it otherwise. */                            \
        csimd_long##N step = ((csimd_long##N)((e > 0.0) == (s > 0.0)) & 2) - 1;                                        \
        return (csimd_double##N)(bits + (step & inexact & even));                                                      \
    }                                                                                                                  \
    CSIMD csimd_float##N csimd_soft_fma##N(csimd_float##N a, csimd_float##N b, csimd_float##N c) {                     \
        return __builtin_convertvector(csimd_odd_fma##N(a, b, c), csimd_float##N);                                     \
    }

CSIMD_WIDTH(4)
CSIMD_WIDTH(8)
CSIMD_WIDTH(16)
#undef CSIMD_WIDTH

/// Neighbours exchanged.
CSIMD csimd_float4 csimd_swap_pairs4(csimd_float4 x) { return __builtin_shufflevector(x, x, 1, 0, 3, 2); }
CSIMD csimd_float8 csimd_swap_pairs8(csimd_float8 x) { return __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6); }
CSIMD csimd_float16 csimd_swap_pairs16(csimd_float16 x) {
    return __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
}

/// Elements of a and b in turn, of their first halves and of their second halves.
CSIMD csimd_float4 csimd_zip_low4(csimd_float4 a, csimd_float4 b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
CSIMD csimd_float4 csimd_zip_high4(csimd_float4 a, csimd_float4 b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
CSIMD csimd_float8 csimd_zip_low8(csimd_float8 a, csimd_float8 b) {
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
CSIMD csimd_float8 csimd_zip_high8(csimd_float8 a, csimd_float8 b) {
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
CSIMD csimd_float16 csimd_zip_low16(csimd_float16 a, csimd_float16 b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
CSIMD csimd_float16 csimd_zip_high16(csimd_float16 a, csimd_float16 b) {
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
/// The same of each half by itself.
CSIMD csimd_float4 csimd_zip_halves_low4(csimd_float4 a, csimd_float4 b) { return __builtin_shufflevector(a, b, 0, 4, 2, 6); }
CSIMD csimd_float4 csimd_zip_halves_high4(csimd_float4 a, csimd_float4 b) { return __builtin_shufflevector(a, b, 1, 5, 3, 7); }
CSIMD csimd_float8 csimd_zip_halves_low8(csimd_float8 a, csimd_float8 b) {
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
}
CSIMD csimd_float8 csimd_zip_halves_high8(csimd_float8 a, csimd_float8 b) {
    return __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
}
CSIMD csimd_float16 csimd_zip_halves_low16(csimd_float16 a, csimd_float16 b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26, 11, 27);
}
CSIMD csimd_float16 csimd_zip_halves_high16(csimd_float16 a, csimd_float16 b) {
    return __builtin_shufflevector(a, b, 4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30, 15, 31);
}

/// Asks for the cache line of an address that need not be valid.
static inline __attribute__((always_inline)) void csimd_prefetch(const void *_Nonnull address) {
    __builtin_prefetch(address, 0, 3);
}

/// Asks for the cache line of an address that will be written; it need not be valid.
static inline __attribute__((always_inline)) void csimd_prefetch_to_write(const void *_Nonnull address) {
#if defined(__x86_64__)
    // Named outright: the compiler takes it for an extension that the instruction sets built for may lack, where it does
    // nothing.
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
    __builtin_prefetch(address, 1, 3);
#endif
}

/// The same address, of which the compiler no longer knows where it comes from.
static inline __attribute__((always_inline)) const float *_Nonnull csimd_opaque(const float *_Nonnull address) {
    __asm__("" : "+r"(address));
    return address;
}

/// How the CPU takes denormals, among other things.
static inline __attribute__((always_inline)) uint64_t csimd_float_control(void) {
    uint64_t control = 0;
#if defined(__x86_64__)
    control = __builtin_ia32_stmxcsr();
#elif defined(__aarch64__)
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
#endif
    return control;
}

static inline __attribute__((always_inline)) void csimd_set_float_control(uint64_t control) {
    __asm__ volatile("" : : : "memory");
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr((uint32_t)control);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(control));
#endif
    __asm__ volatile("" : : : "memory");
}

#if defined(__aarch64__)
#define CSIMD_FLUSHES (1ull << 24)
#else
#define CSIMD_FLUSHES 0x8040ull
#endif

/// Takes denormals for zeros of their sign, as operands and as results; returns what was so before.
static inline __attribute__((always_inline)) uint64_t csimd_flush_denormals(void) {
    uint64_t before = csimd_float_control();
    csimd_set_float_control(before | CSIMD_FLUSHES);
    return before;
}

/// Takes denormals for what they are; returns what was so before.
static inline __attribute__((always_inline)) uint64_t csimd_keep_denormals(void) {
    uint64_t before = csimd_float_control();
    csimd_set_float_control(before & ~CSIMD_FLUSHES);
    return before;
}

#if defined(__aarch64__)
/// a * b + c as x86 rounds it while denormals are flushed: Arm decides before rounding what is tiny, x86 after it.
CSIMD csimd_float4 csimd_flushed_fma4(csimd_float4 a, csimd_float4 b, csimd_float4 c) {
    csimd_double4 s = csimd_odd_fma4(a, b, c), magnitude = __builtin_elementwise_abs(s);
    csimd_int4 is_tiny = __builtin_convertvector(magnitude < 0x1p-126, csimd_int4);
    csimd_int4 rounds_up = __builtin_convertvector(magnitude >= 0x1p-126 - 0x1p-151, csimd_int4);
    csimd_int4 rounded = (csimd_int4)__builtin_convertvector(s, csimd_float4);
    csimd_int4 smallest = (csimd_int4)((csimd_float4)0 + 0x1p-126f) & rounds_up;
    return (csimd_float4)((rounded & ~is_tiny) | (((rounded & INT32_MIN) | smallest) & is_tiny));
}
#endif

#if defined(__AVX512F__)
// AVX-512 BF16, which the kernels' own instruction set lacks: written as assembly, to be called where the CPU has it.

/// fma(a0, b0, fma(a1, b1, sum)) of the pair of bf16 in each lane.
CSIMD csimd_float16 csimd_dot_bf16(csimd_float16 a, csimd_float16 b, csimd_float16 sum) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

/// Both vectors rounded to bf16, the first in the lower half.
CSIMD csimd_ushort32 csimd_to_bf16(csimd_float16 low, csimd_float16 high) {
    csimd_ushort32 both;
    __asm__("vcvtne2ps2bf16 %1, %2, %0" : "=v"(both) : "v"(low), "v"(high));
    return both;
}

/// Two vectors of pairs of neighbours.
CSIMD csimd_float16 csimd_bf16_row(csimd_float16 low, csimd_float16 high) {
    return (csimd_float16)csimd_to_bf16(low, high);
}

/// The pair (a, b) in each lane.
CSIMD csimd_float16 csimd_bf16_pairs(csimd_float16 a, csimd_float16 b) {
    csimd_ushort32 both = csimd_to_bf16(a, b);
    return (csimd_float16)__builtin_shufflevector(
        both, both, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29,
        14, 30, 15, 31);
}

/// The first `count` elements, at most 16, and zeros.
static inline __attribute__((always_inline)) csimd_float16 csimd_load_first(const float *_Nonnull x, int64_t count) {
    csimd_float16 vector = 0;
    uint16_t mask = count >= 16 ? 0xffff : (uint16_t)((1u << count) - 1);
    __asm__("vmovups %1, %0%{%2%}%{z%}" : "=v"(vector) : "m"(*(const csimd_float16 *)x), "Yk"(mask));
    return vector;
}
#endif

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
CSIMD int csimd_cpu_has_avx512_bf16(void) { return csimd_cpu_has_avx512() && __builtin_cpu_supports("avx512bf16"); }
/// Whether vdpbf16ps is faster than two multiply-adds: Intel's Xeons (up to Emerald Rapids, where it was measured) take as
/// long for one as for four.
CSIMD int csimd_cpu_has_fast_avx512_bf16(void) { return csimd_cpu_has_avx512_bf16() && !__builtin_cpu_is("intel"); }
#endif
