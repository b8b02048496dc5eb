// swift-tools-version: 6.2
import PackageDescription

// Another package takes gan-dist by path, branch or revision: SwiftPM refuses its unsafeFlags where a version is asked for.
let package = Package(
    name: "example",
    dependencies: [.package(name: "gan-dist", path: "../..")],
    targets: [
        .executableTarget(
            name: "Example",
            dependencies: ["GAN", "Networks"].map { .product(name: $0, package: "gan-dist") })
    ]
)
