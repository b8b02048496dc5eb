// Arguments of the kernels that take too many for a parameter list, shared by every instruction set's module.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// What a long kernel calls between blocks of its work, so that messages go on meanwhile; denormals are kept during it.
typedef struct {
    void (*_Nullable call)(void *_Nullable context);
    void *_Nullable context;
} csimd_interlude;

/// C[m, n] = bias[m] + Σ_k A[m, k] B[k, n], k ascending, one fused multiply-add at a time.
/// A[m, k] lies at a[m * a_row + k * a_depth], B[k, n] at b[k * b_depth + n], C[m, n] at c[m * c_row + n].
/// columns is a multiple of 8, on AVX-512 of 16; a null bias is zero. If rectifies, the element is then multiplied by slope unless
/// gate[m * gate_row + n], or the element itself where gate is null, is positive. workspace holds
/// 64 · 256 + 3072 + 16 + 64 · 48 floats.
typedef struct {
    const float *_Nonnull a;
    ptrdiff_t a_row, a_depth;
    const float *_Nonnull b;
    ptrdiff_t b_depth;
    float *_Nonnull c;
    ptrdiff_t c_row;
    ptrdiff_t rows, columns, depth;
    const float *_Nullable bias;
    const float *_Nullable gate;
    ptrdiff_t gate_row;
    int32_t rectifies;
    float slope;
    float *_Nonnull workspace;
    csimd_interlude interlude;
} csimd_gemm;

/// One logical shard in a sum over the batch: the next `count` rows of every pass, one pass after the other into one
/// accumulator. After them `merges` earlier subtrees are added, and the sum is either kept for a later merge (output < 0)
/// or is the tree of the forest numbered `output`.
typedef struct {
    int32_t count;
    int32_t merges;
    int32_t output;
} csimd_shard_sum;

/// out[j][m, n] = Σ over the shards of tree j, combined as they say, of Σ over passes and rows of A[m, r] B[r, n].
/// In pass i, A[m, r] lies at a[i * a_pass + m * a_row + r], and B[r, n] at
/// b[n / 64 * b_panel + i * b_pass + r * b_row + n % 64]: in panels of 64 columns that a cache holds without conflicts.
/// b_row is 64, or 0 for a single column whose rows are all the same. B is readable up to columns rounded up to 16.
/// Every output has row stride c_row and starts at outputs[j] + output_offset. scratch holds 32 tiles. Only bf16
/// needs the workspace: (rows + 64) · passes · P + 3 shard_count + 64 floats, P the sum of the shards' counts, each even.
typedef struct {
    const float *_Nonnull a;
    ptrdiff_t a_pass, a_row;
    const float *_Nonnull b;
    ptrdiff_t b_panel, b_pass, b_row;
    float *_Nonnull const *_Nonnull outputs;
    ptrdiff_t output_offset, c_row;
    ptrdiff_t rows, columns, passes;
    const csimd_shard_sum *_Nonnull shards;
    ptrdiff_t shard_count;
    float *_Nonnull scratch;
    float *_Nullable workspace;
    csimd_interlude interlude;
} csimd_weight_gradient;

/// A pixel of a convolution's result and the pixel that its first tap reads.
typedef struct {
    int32_t source, target;
} csimd_position;

/// A tap of a convolution: where its weights begin in a row of A, and pixels from a position's source to what it reads.
typedef struct {
    int32_t weight, source;
} csimd_tap;

/// Y[m, q, n] = bias[m] + Σ_t Σ_c A[m, t, c] X[c, q, t, n], taps and then channels ascending, one fused multiply-add at a
/// time, for pixels q that all have the same taps: those whose tap would lie in the padding are listed with other taps.
/// A[m, t, c] lies at a[m * a_output + taps[t].weight + c], X[c, q, t, n] at
/// x[c * x_channel + (positions[q].source + taps[t].source) * x_row + n], Y[m, q, n] at
/// y[m * y_channel + positions[q].target * y_row + n]. columns is a multiple of 8, on AVX-512 of 16; a null bias is zero.
/// If rectifies, the element is then multiplied by slope unless the gate, laid out as y, or the element itself where gate
/// is null, is positive. workspace is that of a product.
typedef struct {
    const float *_Nonnull a;
    ptrdiff_t a_output;
    const float *_Nonnull x;
    ptrdiff_t x_channel, x_row;
    float *_Nonnull y;
    ptrdiff_t y_channel, y_row;
    ptrdiff_t outputs, channels, columns;
    const csimd_position *_Nonnull positions;
    ptrdiff_t position_count;
    const csimd_tap *_Nonnull taps;
    ptrdiff_t tap_count;
    const float *_Nullable bias;
    const float *_Nullable gate;
    int32_t rectifies;
    float slope;
    float *_Nonnull workspace;
    csimd_interlude interlude;
} csimd_convolution;

/// out[j][m, t, c] = Σ over the shards of tree j, combined as they say, of Σ over passes i, pixels q and rows r of
/// A[i, m, q, r] X[i, c, q, t, r], in that order. A lies at
/// a[i * a_pass + m * a_channel + positions[t, q].target * a_row + r], X at
/// x[i * x_pass + c * x_channel + positions[t, q].source * x_row + r], zero where source is negative; positions is
/// [tap_count, position_count]. Output j is at outputs[j] + output_offset + m * out_row + t * channels + c.
/// Where there are several taps and channels are a multiple of 16, the target of [t, q] is the same for all t, and [t, q]
/// is left out where source is negative: A may be infinite there.
/// X has `pixels`, and is readable for a vector past its end. scratch is as large as `ConvolutionGradient.scratchCount` says.
typedef struct {
    const float *_Nonnull a;
    ptrdiff_t a_pass, a_channel, a_row;
    const float *_Nonnull x;
    ptrdiff_t x_pass, x_channel, x_row, pixels;
    ptrdiff_t rows, channels, passes;
    const csimd_position *_Nonnull positions;
    ptrdiff_t tap_count, position_count;
    float *_Nonnull const *_Nonnull outputs;
    ptrdiff_t output_offset, out_row;
    const csimd_shard_sum *_Nonnull shards;
    ptrdiff_t shard_count;
    float *_Nonnull scratch;
    csimd_interlude interlude;
} csimd_convolution_gradient;

/// Counter and key of Philox4x32-10. The counter of row i and block j is (first_block + j, first_row + i, step, stream).
typedef struct {
    uint32_t key0, key1;
    uint32_t stream, step, first_row, first_block;
} csimd_random;

/// One Adam update of a segment (Kingma and Ba 2015), as PyTorch orders it:
/// m = β1 m + (1 − β1) g; v = β2 v + (1 − β2) g²; p = p − step_size · m / (√v · inverse_root + ε);
/// below 2⁻¹⁰⁰, m and v are zero.
typedef struct {
    float beta1, one_minus_beta1, beta2, one_minus_beta2;
    float step_size;    // lr / (1 − β1ᵗ)
    float inverse_root; // 1 / √(1 − β2ᵗ)
    float epsilon;
} csimd_adam;

/// One RMSprop update of a segment (Tieleman and Hinton 2012), as PyTorch orders it, without momentum or centring:
/// v = α v + (1 − α) g²; p = p − learning_rate · g / (√v + ε); below 2⁻¹⁰⁰, v is zero.
typedef struct {
    float alpha, one_minus_alpha;
    float learning_rate;
    float epsilon;
} csimd_rmsprop;
