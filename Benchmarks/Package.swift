// swift-tools-version:6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "FerryBenchmarks",
    products: [
        .executable(name: "zip-store", targets: ["ZipStore"])
    ],
    dependencies: [
        .package(name: "Ferry", path: ".."),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        .executableTarget(
            name: "ZipStore",
            dependencies: [
                .product(name: "ZipArchive", package: "Ferry"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: settings)
    ],
    swiftLanguageModes: [.v6]
)
