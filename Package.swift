// swift-tools-version: 6.2
import PackageDescription

/// Kernels are the only code built for one instruction set, and the only code built without overflow checks.
func kernelFlags(_ march: String?) -> [SwiftSetting] {
    var flags = ["-Ounchecked", "-wmo", "-num-threads", "1", "-Xcc", "-ffp-contract=off"]
    if let march { flags += ["-Xcc", "-march=\(march)"] }
    return [.unsafeFlags(flags)]
}

// A manifest is compiled for the machine that builds, and is not told what is built for: where that is another
// architecture, as with --swift-sdk, GAN_DIST_ARCH names it.
#if arch(x86_64)
let buildArchitecture = "x86_64"
#else
let buildArchitecture = "aarch64"
#endif

let isX86 = Context.environment["GAN_DIST_ARCH"] ?? buildArchitecture == "x86_64"
let instructionSets: [(name: String, march: String?)] =
    (isX86 ? [("AVX512", "x86-64-v4"), ("AVX2", "x86-64-v3")] : []) + [("Portable", nil)]
let kernelTargets: [Target] = instructionSets.flatMap { name, march in
    [
        .target(name: "Kernels\(name)", dependencies: ["CSIMD"], swiftSettings: kernelFlags(march)),
        .target(
            name: "\(name)Table", dependencies: ["CSIMD", .byName(name: "Kernels\(name)")], path: "Sources/KernelTables/\(name)"),
    ]
}

let package = Package(
    name: "gan-dist",
    products: ["Kernels", "MessagePassing", "Networks", "Formats", "GAN"].map { .library(name: $0, targets: [$0]) },
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2")
    ],
    targets: [
        .systemLibrary(name: "CSIMD"),
        .systemLibrary(name: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CPNG", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CJPEG", providers: [.apt(["libjpeg-dev"])]),
        .systemLibrary(name: "CCrypto", providers: [.apt(["libssl-dev"])]),
        // Optimised in tests too, which compare whole steps with its plain twins.
        .target(
            name: "Kernels", dependencies: ["CSIMD"] + instructionSets.map { .byName(name: "\($0.name)Table") },
            swiftSettings: [.unsafeFlags(["-O"])]),
        .target(name: "MessagePassing", dependencies: ["CMPI"]),
        .target(name: "Networks", dependencies: ["Kernels"]),
        .target(
            name: "Formats", dependencies: ["CZlib", "CPNG", "CJPEG", "CCrypto"],
            // Static, so that a binary runs on hosts that lack these libraries.
            linkerSettings: [.unsafeFlags(["-l:libpng16.a", "-l:libjpeg.a", "-l:libz.a", "-l:libcrypto.a"])]),
        .target(name: "GAN", dependencies: ["Kernels", "MessagePassing", "Networks", "Formats"]),
        .executableTarget(
            name: "gan-dist",
            dependencies: ["GAN", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
        .testTarget(name: "KernelsTests", dependencies: ["Kernels"], exclude: ["philox.py"]),
        .testTarget(name: "MessagePassingTests", dependencies: ["MessagePassing"]),
        .testTarget(
            name: "NetworksTests", dependencies: ["Networks", "Kernels"],
            exclude: [
                "networks.py", "pytorch_layers.py", "pytorch_layers.json", "pytorch_optimizers.py", "pytorch_optimizers.json",
                "pytorch_row_layers.py", "pytorch_row_layers.json",
            ]),
        .testTarget(
            name: "FormatsTests", dependencies: ["Formats", "CZlib", "CPNG"],
            exclude: [
                "resize.py", "resize.json", "conversions.py", "conversions.json", "pictures.py", "pictures.json", "arrays.py",
                "arrays.json",
            ]),
        .testTarget(
            name: "GANTests", dependencies: ["GAN", "MessagePassing", "Formats", "Kernels"],
            exclude: [
                "pytorch_step.py", "pytorch_cycle.py", "pytorch_step.json", "pytorch_cycle.json", "pytorch_loss.py", "pytorch_loss.json", "pytorch_penalty.py",
                "pytorch_penalty.json", "Measures/measures.py", "Measures/measures.json",
            ]),
        .testTarget(name: "JobTests", dependencies: ["GAN", "Formats"]),
    ] + kernelTargets
)

// A program for the fuzzer: it links only with the sanitizers that launch/fuzz builds it with.
if Context.environment["GAN_DIST_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "gan-dist-fuzz", dependencies: ["Formats", "GAN", "CZlib"], path: "Tests/Fuzz", exclude: ["corpus"]))
}

// Only who builds the documentation needs its plugin.
if Context.environment["GAN_DIST_DOCS"] != nil {
    package.dependencies.append(.package(url: "https://github.com/swiftlang/swift-docc-plugin", exact: "1.5.0"))
}
