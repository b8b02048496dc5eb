// swift-tools-version: 6.2
import PackageDescription

// A package elsewhere asks for gan-dist by its address: .package(url: "…/gan-dist", branch: "main").
let package = Package(
    name: "example",
    dependencies: [.package(name: "gan-dist", path: "../..")],
    targets: [
        .executableTarget(
            name: "Example",
            dependencies: ["GAN", "Networks"].map { .product(name: $0, package: "gan-dist") })
    ]
)
