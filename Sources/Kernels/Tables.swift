import KernelsPortable
#if arch(x86_64)
import KernelsAVX2
import KernelsAVX512
#endif

// The table of each instruction set, and what bf16 changes in it.

extension Kernels {
    #if arch(x86_64)
    static var avx512: Kernels {
        Kernels(
            instructionSet: .avx512,
            gemm: KernelsAVX512.gemm,
            weightGradient: KernelsAVX512.weightGradient,
            biasGradient: KernelsAVX512.biasGradient,
            convolution: KernelsAVX512.convolution,
            convolutionGradient: KernelsAVX512.convolutionGradient,
            sumPixels: KernelsAVX512.sumPixels,
            moments: KernelsAVX512.moments,
            normalize: KernelsAVX512.normalize,
            normalizeBackward: KernelsAVX512.normalizeBackward,
            normalizeRows: KernelsAVX512.normalizeRows,
            normalizeRowsBackward: KernelsAVX512.normalizeRowsBackward,
            scaleChannels: KernelsAVX512.scaleChannels,
            sumNormalized: KernelsAVX512.sumNormalized,
            similarities: KernelsAVX512.similarities,
            similaritiesBackward: KernelsAVX512.similaritiesBackward,
            copyColumns: KernelsAVX512.copyColumns,
            transpose: KernelsAVX512.transpose,
            leakyReLU: KernelsAVX512.leakyReLU,
            tanh: KernelsAVX512.tanhForward,
            sigmoid: KernelsAVX512.sigmoidForward,
            leakyReLUBackward: KernelsAVX512.leakyReLUBackward,
            tanhBackward: KernelsAVX512.tanhBackward,
            sigmoidBackward: KernelsAVX512.sigmoidBackward,
            binaryCrossEntropy: KernelsAVX512.binaryCrossEntropy,
            softBinaryCrossEntropy: KernelsAVX512.softBinaryCrossEntropy,
            squaredError: KernelsAVX512.squaredError,
            softSquaredError: KernelsAVX512.softSquaredError,
            hinge: KernelsAVX512.hinge,
            linearLoss: KernelsAVX512.linearLoss,
            mixColumns: KernelsAVX512.mixColumns,
            scaleColumns: KernelsAVX512.scaleColumns,
            addScaled: KernelsAVX512.addScaled,
            normalizeBytes: KernelsAVX512.normalizeBytes,
            randomWords: KernelsAVX512.randomWords,
            randomNormals: KernelsAVX512.randomNormals,
            dropout: KernelsAVX512.dropout,
            treeSum: KernelsAVX512.treeSum,
            adam: KernelsAVX512.adam,
            rmsprop: KernelsAVX512.rmsprop,
            sgd: KernelsAVX512.sgd,
            clip: KernelsAVX512.clip,
            average: KernelsAVX512.average,
            multiplyAddPeak: KernelsAVX512.multiplyAddPeak,
            read: KernelsAVX512.read)
    }

    static var avx2: Kernels {
        Kernels(
            instructionSet: .avx2,
            gemm: KernelsAVX2.gemm,
            weightGradient: KernelsAVX2.weightGradient,
            biasGradient: KernelsAVX2.biasGradient,
            convolution: KernelsAVX2.convolution,
            convolutionGradient: KernelsAVX2.convolutionGradient,
            sumPixels: KernelsAVX2.sumPixels,
            moments: KernelsAVX2.moments,
            normalize: KernelsAVX2.normalize,
            normalizeBackward: KernelsAVX2.normalizeBackward,
            normalizeRows: KernelsAVX2.normalizeRows,
            normalizeRowsBackward: KernelsAVX2.normalizeRowsBackward,
            scaleChannels: KernelsAVX2.scaleChannels,
            sumNormalized: KernelsAVX2.sumNormalized,
            similarities: KernelsAVX2.similarities,
            similaritiesBackward: KernelsAVX2.similaritiesBackward,
            copyColumns: KernelsAVX2.copyColumns,
            transpose: KernelsAVX2.transpose,
            leakyReLU: KernelsAVX2.leakyReLU,
            tanh: KernelsAVX2.tanhForward,
            sigmoid: KernelsAVX2.sigmoidForward,
            leakyReLUBackward: KernelsAVX2.leakyReLUBackward,
            tanhBackward: KernelsAVX2.tanhBackward,
            sigmoidBackward: KernelsAVX2.sigmoidBackward,
            binaryCrossEntropy: KernelsAVX2.binaryCrossEntropy,
            softBinaryCrossEntropy: KernelsAVX2.softBinaryCrossEntropy,
            squaredError: KernelsAVX2.squaredError,
            softSquaredError: KernelsAVX2.softSquaredError,
            hinge: KernelsAVX2.hinge,
            linearLoss: KernelsAVX2.linearLoss,
            mixColumns: KernelsAVX2.mixColumns,
            scaleColumns: KernelsAVX2.scaleColumns,
            addScaled: KernelsAVX2.addScaled,
            normalizeBytes: KernelsAVX2.normalizeBytes,
            randomWords: KernelsAVX2.randomWords,
            randomNormals: KernelsAVX2.randomNormals,
            dropout: KernelsAVX2.dropout,
            treeSum: KernelsAVX2.treeSum,
            adam: KernelsAVX2.adam,
            rmsprop: KernelsAVX2.rmsprop,
            sgd: KernelsAVX2.sgd,
            clip: KernelsAVX2.clip,
            average: KernelsAVX2.average,
            multiplyAddPeak: KernelsAVX2.multiplyAddPeak,
            read: KernelsAVX2.read)
    }

    mutating func setAVX512BFloat16(usesNative: Bool) {
        gemm = usesNative ? KernelsAVX512.nativeBFloat16GEMM : KernelsAVX512.bfloat16GEMM
        weightGradient = usesNative ? KernelsAVX512.nativeBFloat16WeightGradient : KernelsAVX512.bfloat16WeightGradient
        biasGradient = KernelsAVX512.flushedBiasGradient
        convolution = usesNative ? KernelsAVX512.nativeBFloat16Convolution : KernelsAVX512.bfloat16Convolution
        convolutionGradient =
            usesNative ? KernelsAVX512.nativeBFloat16ConvolutionGradient : KernelsAVX512.bfloat16ConvolutionGradient
        treeSum = KernelsAVX512.flushedTreeSum
        hasNativeProducts = usesNative
        if usesNative { multiplyAddPeak = KernelsAVX512.nativeBFloat16Peak }
    }

    mutating func setAVX2BFloat16() {
        gemm = KernelsAVX2.bfloat16GEMM
        weightGradient = KernelsAVX2.bfloat16WeightGradient
        biasGradient = KernelsAVX2.flushedBiasGradient
        convolution = KernelsAVX2.bfloat16Convolution
        convolutionGradient = KernelsAVX2.bfloat16ConvolutionGradient
        treeSum = KernelsAVX2.flushedTreeSum
    }
    #endif

    mutating func setPortableBFloat16() {
        gemm = KernelsPortable.bfloat16GEMM
        weightGradient = KernelsPortable.bfloat16WeightGradient
        biasGradient = KernelsPortable.flushedBiasGradient
        convolution = KernelsPortable.bfloat16Convolution
        convolutionGradient = KernelsPortable.bfloat16ConvolutionGradient
        treeSum = KernelsPortable.flushedTreeSum
    }

    static func portable(as instructionSet: InstructionSet) -> Kernels {
        Kernels(
            instructionSet: instructionSet,
            gemm: KernelsPortable.gemm,
            weightGradient: KernelsPortable.weightGradient,
            biasGradient: KernelsPortable.biasGradient,
            convolution: KernelsPortable.convolution,
            convolutionGradient: KernelsPortable.convolutionGradient,
            sumPixels: KernelsPortable.sumPixels,
            moments: KernelsPortable.moments,
            normalize: KernelsPortable.normalize,
            normalizeBackward: KernelsPortable.normalizeBackward,
            normalizeRows: KernelsPortable.normalizeRows,
            normalizeRowsBackward: KernelsPortable.normalizeRowsBackward,
            scaleChannels: KernelsPortable.scaleChannels,
            sumNormalized: KernelsPortable.sumNormalized,
            similarities: KernelsPortable.similarities,
            similaritiesBackward: KernelsPortable.similaritiesBackward,
            copyColumns: KernelsPortable.copyColumns,
            transpose: KernelsPortable.transpose,
            leakyReLU: KernelsPortable.leakyReLU,
            tanh: KernelsPortable.tanhForward,
            sigmoid: KernelsPortable.sigmoidForward,
            leakyReLUBackward: KernelsPortable.leakyReLUBackward,
            tanhBackward: KernelsPortable.tanhBackward,
            sigmoidBackward: KernelsPortable.sigmoidBackward,
            binaryCrossEntropy: KernelsPortable.binaryCrossEntropy,
            softBinaryCrossEntropy: KernelsPortable.softBinaryCrossEntropy,
            squaredError: KernelsPortable.squaredError,
            softSquaredError: KernelsPortable.softSquaredError,
            hinge: KernelsPortable.hinge,
            linearLoss: KernelsPortable.linearLoss,
            mixColumns: KernelsPortable.mixColumns,
            scaleColumns: KernelsPortable.scaleColumns,
            addScaled: KernelsPortable.addScaled,
            normalizeBytes: KernelsPortable.normalizeBytes,
            randomWords: KernelsPortable.randomWords,
            randomNormals: KernelsPortable.randomNormals,
            dropout: KernelsPortable.dropout,
            treeSum: KernelsPortable.treeSum,
            adam: KernelsPortable.adam,
            rmsprop: KernelsPortable.rmsprop,
            sgd: KernelsPortable.sgd,
            clip: KernelsPortable.clip,
            average: KernelsPortable.average,
            multiplyAddPeak: KernelsPortable.multiplyAddPeak,
            read: KernelsPortable.read)
    }
}
