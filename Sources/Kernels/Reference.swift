import KernelsPortable

/// The plain-loop twin of every kernel: scalar `Float`, never optimised, the same operations in the same order as the
/// kernels, which must equal it bit for bit. `addingProduct` is the fused multiply-add, rounded once.
///
/// The formulas here are the definition of what a kernel computes; how fast it gets there is the kernels' affair.
public enum Reference {}

extension Kernels {
    /// The table of the twins. It bears the name of the portable instruction set, since it runs everywhere.
    public static var reference: Kernels {
        Kernels(
            instructionSet: .portable,
            gemm: Reference.gemm,
            weightGradient: Reference.weightGradient,
            biasGradient: Reference.weightGradient,
            convolution: Reference.convolution,
            convolutionGradient: Reference.convolutionGradient,
            sumPixels: Reference.sumPixels,
            moments: Reference.moments,
            normalize: Reference.normalize,
            normalizeBackward: Reference.normalizeBackward,
            normalizeRows: Reference.normalizeRows,
            normalizeRowsBackward: Reference.normalizeRowsBackward,
            scaleChannels: Reference.scaleChannels,
            sumNormalized: Reference.sumNormalized,
            similarities: Reference.similarities,
            similaritiesBackward: Reference.similaritiesBackward,
            copyColumns: Reference.copyColumns,
            transpose: Reference.transpose,
            leakyReLU: Reference.leakyReLU,
            tanh: Reference.tanh,
            sigmoid: Reference.sigmoid,
            leakyReLUBackward: Reference.leakyReLUBackward,
            tanhBackward: Reference.tanhBackward,
            sigmoidBackward: Reference.sigmoidBackward,
            binaryCrossEntropy: Reference.binaryCrossEntropy,
            softBinaryCrossEntropy: Reference.softBinaryCrossEntropy,
            squaredError: Reference.squaredError,
            softSquaredError: Reference.softSquaredError,
            hinge: Reference.hinge,
            linearLoss: Reference.linearLoss,
            mixColumns: Reference.mixColumns,
            scaleColumns: Reference.scaleColumns,
            addScaled: Reference.addScaled,
            normalizeBytes: Reference.normalizeBytes,
            randomWords: Reference.randomWords,
            randomNormals: Reference.randomNormals,
            dropout: Reference.dropout,
            treeSum: Reference.treeSum,
            adam: Reference.adam,
            rmsprop: Reference.rmsprop,
            sgd: Reference.sgd,
            clip: Reference.clip,
            average: Reference.average,
            // A rate has no twin.
            multiplyAddPeak: KernelsPortable.multiplyAddPeak,
            read: KernelsPortable.read)
    }

    /// The twins of `rounding(to: .bf16)`.
    public static var bfloat16Reference: Kernels {
        var kernels = reference
        kernels.precision = .bf16
        kernels.gemm = Reference.bfloat16GEMM
        kernels.weightGradient = Reference.bfloat16WeightGradient
        kernels.biasGradient = Reference.flushedWeightGradient
        kernels.convolution = Reference.bfloat16Convolution
        kernels.convolutionGradient = Reference.bfloat16ConvolutionGradient
        kernels.treeSum = Reference.flushedTreeSum
        return kernels
    }
}
