import Kernels

private let slope: Float = 0.01
private let shards = ShardPlan(shards: 2..<8, of: 8, batch: 21)
private let key = RandomKey(
    key0: 0x89ab_cdef, key1: 0x0123_4567, stream: 3, step: 5, first_row: .max - 20, first_block: .max)

extension TwinTests.Pin {
    static let all: [Self] = sums + normalizations + elementwise + losses + random + updates

    private static let sums = [
        Self("gemm", 0x7a20_4a56_ef04_a6e9) { kernels, results in
            for (number, values) in Values.allCases.enumerated() {
                for rectification in GEMMTests.Rectification.allCases {
                    for (rows, columns, depth) in [(5, 16, 9), (3, 24, 0), (2, 48, 2)] {
                        let c = GEMMTests.Case(
                            rows: rows, columns: columns, depth: depth, form: depth == 9 ? .plain : .transposed,
                            bias: depth != 2, rectification: rectification, padding: (1, 2, 3), values: values, slope: slope)
                        results.add(GEMMTests.results(c, seed: UInt64(number + depth))(kernels))
                    }
                }
            }
        },
        Self("weightGradient", 0x73f5_0870_c9a4_20d0) { kernels, results in
            for (number, values) in Values.allCases.enumerated() {
                for memory in WeightGradientTests.results(kernels, shards, rows: 3, columns: 70, values, seed: UInt64(number)) {
                    results.add(memory)
                }
            }
        },
        Self("biasGradient", 0x64b4_43b2_ba1c_9852) { kernels, results in
            for (number, values) in Values.allCases.enumerated() {
                for memory in WeightGradientTests.biasResults(
                    kernels, shards, rows: 9, passes: 2, values, seed: UInt64(number)) {
                    results.add(memory)
                }
            }
        },
        Self("convolution", 0x73a4_0d75_e082_bdda) { kernels, results in
            for (number, values) in Values.allCases.enumerated() {
                for (outputs, channels, taps) in [(1, 1, 2), (3, 5, 3), (2, 2, 1), (2, 3, 0)] {
                    for usesGate in [false, true] {
                        let c = ConvolutionTests.Case(
                            outputs: outputs, channels: channels, columns: 24, pixels: 3, positions: 2, taps: taps,
                            bias: channels != 5, rectifies: taps != 2 || usesGate, usesGate: usesGate, padding: 8, values: values,
                            slope: slope)
                        results.add(ConvolutionTests.results(c, seed: UInt64(number + outputs))(kernels))
                    }
                }
            }
        },
        Self("convolutionGradient", 0x86e5_a6c7_cb27_e94e) { kernels, results in
            for (number, values) in Values.allCases.enumerated() {
                for (channels, taps, positions) in [(3, 4, 3), (16, 3, 2), (20, 1, 2), (16, 2, 0)] {
                    let c = ConvolutionGradientTests.Case(
                        rows: 3, channels: channels, taps: taps, positions: positions, passes: 2, batch: 9, shards: 1..<4,
                        shardCount: 4, hasPadding: true, values: values)
                    for memory in ConvolutionGradientTests.results(c, seed: UInt64(number + channels))(kernels) {
                        results.add(memory)
                    }
                }
            }
        },
        Self("treeSum", 0xc9da_1dd4_60f3_1564) { kernels, results in
            for values in Values.allCases {
                var random = SplitMix64(3)
                let leaves = (0..<5).map { _ in random.starts(values, 112) }
                let (sum, scratch) = (Memory<Float>(count: 96), Memory<Float>(count: 32 * 16))
                let pointers = leaves.map { UnsafePointer($0.base) }
                results.add(kernels.treeSum(pointers, [0, 1, 0, 1, 1], 5, 16, sum.base, sum.count, scratch.base))
                keep(leaves, scratch)
                results.add(sum)
            }
        },
        Self("similarities", 0xec90_6cc6_da9e_2d5d) { kernels, results in
            for shard in SimilarityTests.Shard.pinned { results.add(shard.results(kernels)[0]) }
        },
        Self("similaritiesBackward", 0x6b8d_51e1_43d0_803d) { kernels, results in
            for shard in SimilarityTests.Shard.pinned { results.add(shard.results(kernels)[1]) }
        },
    ]

    private static let normalizations = [
        Self("sumPixels", 0x0921_965d_6477_4ddd) { kernels, results in
            results.addMatrices(2) { kernels.sumPixels($0[1], $1, $2, $2, $0[0]) }
        },
        Self("moments", 0xde93_bd22_7711_c535) { kernels, results in
            for values in Values.allCases {
                for usesGate in [false, true] {
                    var random = SplitMix64(8)
                    let (x, y, gate) = (random.draw(values, 240), random.draw(values, 240), random.draw(values, 240))
                    let sums = Memory<Double>(count: 2 * 48)
                    kernels.moments(x.base, y.base, usesGate ? UnsafePointer(gate.base) : nil, slope, 5, 48, 48, sums.base)
                    keep(y, gate)
                    results.add(x)
                    results.add(sums)
                }
            }
        },
        Self("normalize", 0x46dd_831a_5e57_0c71) { kernels, results in
            results.addMatrices(2) { kernels.normalize($0[1], $0[0], $1, $2, $2, 0.3, 1.7, -0.2, slope) }
        },
        Self("normalizeBackward", 0xef10_d36b_421e_6811) { kernels, results in
            results.addMatrices(2) { kernels.normalizeBackward($0[0], $0[1], $1, $2, $2, 0.3, 1.7, -0.2, 0.01) }
        },
        Self("normalizeRows", 0xab23_4795_1e3b_f261) { kernels, results in
            results.addMatrices(6) {
                kernels.normalizeRows($0[1], $0[0], 1, $1, $2, $2, $0[2], $0[3], $0[4], $0[5], slope)
            }
        },
        Self("normalizeRowsBackward", 0x97be_c5f2_12f8_292d) { kernels, results in
            results.addMatrices(6) { kernels.normalizeRowsBackward($0[0], $0[1], $1, $2, $2, $0[2], $0[3], $0[4], $0[5]) }
        },
        Self("scaleChannels", 0xbf49_26e7_05e0_da95) { kernels, results in
            results.addMatrices(3) { kernels.scaleChannels($0[1], $0[0], 1, $1, $2, $2, $0[2]) }
        },
        Self("sumNormalized", 0x534f_422b_2403_a9e5) { kernels, results in
            results.addMatrices(5) { kernels.sumNormalized($0[1], $0[2], $1, $2, $2, $0[3], $0[4], $0[0]) }
        },
    ]

    private static let elementwise = [
        Self("copyColumns", 0xcc0f_0b5c_f306_5d15) { kernels, results in
            results.addMatrices(2) { kernels.copyColumns($0[1], $2, $1, $2 - 3, $0[0], $2) }
        },
        Self("transpose", 0x8e98_c338_cba5_b96d) { kernels, results in
            results.addMatrices(2) { kernels.transpose($0[1], $2, $1, $2, $0[0], $1) }
        },
        Self("leakyReLU", 0xeb09_f27a_80f0_7e59) { kernels, results in
            results.addMatrices(1) { kernels.leakyReLU($0[0], $1, $2, $2, slope) }
        },
        Self("tanh", 0x1233_4b1a_1214_6c29) { kernels, results in
            results.addMatrices(1) { kernels.tanh($0[0], $1, $2, $2) }
        },
        Self("sigmoid", 0x7147_e9e0_90f7_1e41) { kernels, results in
            results.addMatrices(1) { kernels.sigmoid($0[0], $1, $2, $2) }
        },
        Self("leakyReLUBackward", 0x4a7f_d196_0607_c869) { kernels, results in
            results.addMatrices(2) { kernels.leakyReLUBackward($0[0], $0[1], $1, $2, $2, slope) }
        },
        Self("tanhBackward", 0x782b_5881_d541_6405) { kernels, results in
            results.addMatrices(2) { kernels.tanhBackward($0[0], $0[1], $1, $2, $2) }
        },
        Self("sigmoidBackward", 0x2577_1d25_c8e7_1615) { kernels, results in
            results.addMatrices(2) { kernels.sigmoidBackward($0[0], $0[1], $1, $2, $2) }
        },
        Self("mixColumns", 0x8e36_0cf9_1eda_0f2d) { kernels, results in
            results.addMatrices(4) { kernels.mixColumns($0[1], $0[2], $0[3], $0[0], $1, $2, $2) }
        },
        Self("scaleColumns", 0x9ee5_8eb0_ac8f_5e5d) { kernels, results in
            results.addMatrices(2) { kernels.scaleColumns($0[0], $0[1], $1, $2, $2) }
        },
        Self("addScaled", 0x76d0_5357_cb7e_c431) { kernels, results in
            results.addMatrices(2) { kernels.addScaled($0[0], $0[1], 0.3, $1 * $2) }
        },
        Self("normalizeBytes", 0x45e8_7f3e_cfd9_3125) { kernels, results in
            let bytes = Memory<UInt8>((0..<256).map { UInt8($0) })
            let output = Memory<Float>(count: 256)
            kernels.normalizeBytes(bytes.base, output.base, 256, bytes.base)
            keep(bytes)
            results.add(output)
        },
    ]

    private static let losses = [
        Self("softplus", 0x9262_016b_af5e_cf1d) { kernels, results in
            let x = Memory<Float>(specialAndRandomValues(atLeast: 1_024, seed: 14))
            let outputs = (0..<2).map { _ in Memory<Float>(count: x.count) }
            kernels.softplus(x.base, outputs[0].base, outputs[1].base, x.count)
            keep(x)
            for memory in outputs { results.add(memory) }
        },
    ]

    private static let random = [
        Self("randomWords", 0x97ac_5863_6c18_8cf5) { kernels, results in
            let words = Memory<UInt32>(count: 4 * 3 * 48)
            kernels.randomWords(key, words.base, 3, 48, 48)
            results.add(words)
        },
        Self("randomNormals", 0x43bc_56b8_5336_da75) { kernels, results in
            let normals = Memory<Float>(count: 13 * 48)
            kernels.randomNormals(key, normals.base, 13, 48, 48)
            results.add(normals)
        },
        Self("dropout", 0x00a6_9a4b_07a5_b505) { kernels, results in
            results.addMatrices(1) { kernels.dropout(key, $0[0], $1, $2, $2, 0xb333_3333, 1 / 0.7) }
        },
    ]

    private static let updates = [
        Self("adam", 0xab15_b68e_67e6_3e91) { kernels, results in
            let constants = AdamConstants(
                beta1: 0.9, one_minus_beta1: 0.1, beta2: 0.999, one_minus_beta2: 0.001, step_size: 2e-3,
                inverse_root: 31.622_776, epsilon: 1e-8)
            results.addUpdate { kernels.adam(constants, $0[0], $0[1], $0[2], $0[3], $1) }
        },
        Self("rmsprop", 0xb7cc_ace2_d655_1345) { kernels, results in
            let constants = RMSpropConstants(alpha: 0.99, one_minus_alpha: 0.01, learning_rate: 5e-5, epsilon: 1e-8)
            results.addUpdate { kernels.rmsprop(constants, $0[0], $0[1], $0[3], $1) }
        },
        Self("sgd", 0x9ad4_4764_ebf4_4d21) { kernels, results in
            results.addUpdate { kernels.sgd(0.01, 0, $0[0], $0[1], nil, $1) }
            results.addUpdate { kernels.sgd(0.01, 0.9, $0[0], $0[1], $0[2], $1) }
        },
        Self("clip", 0xc1f0_1496_3a29_734d) { kernels, results in results.addUpdate { kernels.clip($0[1], 0.3, $1) } },
        Self("average", 0xa149_34df_bd19_bfe1) { kernels, results in results.addUpdate { kernels.average($0[2], $0[1], 0.001, $1) } },
    ]
}
