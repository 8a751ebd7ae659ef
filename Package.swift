// swift-tools-version:6.2
import Foundation
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

/// Modules resolve their symbols from the process that opens them, so whatever opens one must export its own.
let opensModules: [LinkerSetting] = [.unsafeFlags(["-Xlinker", "--export-dynamic"])]

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioWebSocket = Target.Dependency.product(name: "NIOWebSocket", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let asyncHTTPClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let serviceLifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let jwtKit = Target.Dependency.product(name: "JWTKit", package: "jwt-kit")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")

var targets: [Target] = [
    .systemLibrary(name: "CHiredis", path: "Sources/CHiredis", providers: [.apt(["libhiredis-dev"])]),
    .systemLibrary(name: "COpenSSL", path: "Sources/COpenSSL", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CDeflate", path: "Sources/CDeflate", providers: [.apt(["libdeflate-dev"])]),
    // Its functions are found when a server is configured; nothing is linked.
    .systemLibrary(name: "CPostgreSQL", path: "Sources/CPostgreSQL", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(name: "CZlib", path: "Sources/CZlib", providers: [.apt(["zlib1g-dev"])]),

    .target(name: "FunctionKit", dependencies: [nioCore, logging, httpTypes], swiftSettings: settings),
    .target(name: "Checksum", dependencies: ["CDeflate", nioCore], swiftSettings: settings),
    .target(name: "ZipArchive", dependencies: ["Checksum", "CDeflate", nioCore], swiftSettings: settings),
    .target(
        name: "Downloads", dependencies: ["FunctionKit", "ZipArchive", nioCore, logging, httpTypes],
        exclude: [], swiftSettings: settings),
    .target(
        name: "RedisClient",
        dependencies: ["FunctionKit", "CHiredis", nioCore, nioPosix, nioSSL, logging, deque],
        swiftSettings: settings),
    .target(
        name: "BullQueue", dependencies: ["FunctionKit", "RedisClient", nioCore, nioPosix, logging],
        resources: [.embedInCode("Scripts")], swiftSettings: settings),
    .target(
        name: "ObjectStorage",
        dependencies: ["FunctionKit", "Checksum", "COpenSSL", nioCore, nioHTTP1, asyncHTTPClient, logging],
        swiftSettings: settings),
    .target(
        name: "JobHistory", dependencies: ["FunctionKit", "CPostgreSQL", nioCore, nioPosix, logging, grdb],
        swiftSettings: settings),

    .target(name: "WebTokens", dependencies: [jwtKit, crypto], swiftSettings: settings),
    .target(
        name: "Webhooks",
        dependencies: ["FunctionKit", "WebTokens", nioCore, nioPosix, nioHTTP1, nioSSL, logging],
        swiftSettings: settings),

    .target(
        name: "Host",
        dependencies: [
            "FunctionKit", "Downloads", "RedisClient", "BullQueue", "WebTokens", "Webhooks", "COpenSSL", "CZlib",
            nioCore,
            nioPosix, nioSSL, logging, httpTypes, deque, serviceLifecycle,
        ],
        path: "runtime/Host", swiftSettings: settings),
    .target(
        name: "Emulator",
        dependencies: [
            "FunctionKit", "Checksum", "ObjectStorage", nioCore, nioPosix, nioHTTP1, logging, serviceLifecycle,
        ],
        path: "runtime/Emulator", swiftSettings: settings),
    .executableTarget(
        name: "ferry",
        dependencies: [
            "FunctionKit", "Downloads", "Host", "Emulator", "RedisClient", "BullQueue", "ObjectStorage", "JobHistory",
            "WebTokens", "Webhooks", "ZipArchive",
            nioCore, nioPosix, nioHTTP1, nioWebSocket, nioSSL, asyncHTTPClient, logging, serviceLifecycle, unixSignals,
            argumentParser,
        ],
        path: "runtime/Ferry", swiftSettings: settings, linkerSettings: opensModules),
]

/// Every folder of `functions/` is an ordinary target too, so that the build, the tests and editors see it.
let functionsFolder = URL(fileURLWithPath: Context.packageDirectory).appendingPathComponent("functions")
var functionTargets: [Target.Dependency] = []
let functionNames = ((try? FileManager.default.contentsOfDirectory(atPath: functionsFolder.path)) ?? []).sorted()
for name in functionNames {
    let files =
        (try? FileManager.default.contentsOfDirectory(atPath: functionsFolder.appendingPathComponent(name).path)) ?? []
    guard files.contains("function.json"), files.contains(where: { $0.hasSuffix(".swift") }) else { continue }
    functionTargets.append(.target(name: name))
    targets.append(
        .target(
            name: name, dependencies: ["FunctionKit", "Downloads", nioCore, logging, httpTypes],
            path: "functions/\(name)", exclude: files.filter { !$0.hasSuffix(".swift") }, swiftSettings: settings))
}

/// What several test targets need.
targets.append(
    .target(
        name: "TestSupport", dependencies: ["FunctionKit", "RedisClient", nioCore], path: "Tests/TestSupport",
        swiftSettings: settings))

/// One test target a module; a target exists as soon as its folder does.
let testDependencies: [(module: String, dependencies: [Target.Dependency])] = [
    ("FunctionKit", ["FunctionKit", nioCore]),
    ("Checksum", ["Checksum", nioCore]),
    ("ZipArchive", ["ZipArchive", "Checksum", nioCore]),
    (
        "Downloads",
        ["Downloads", "FunctionKit", "ZipArchive", "Checksum", "RedisClient", "JobHistory", nioCore, nioPosix, logging]
            + functionTargets
    ),
    ("RedisClient", ["RedisClient", "FunctionKit", nioCore, nioPosix, "CHiredis", logging]),
    ("BullQueue", ["BullQueue", "RedisClient", "FunctionKit", nioCore, nioPosix, logging]),
    (
        "ObjectStorage",
        ["ObjectStorage", "FunctionKit", "Checksum", nioCore, nioPosix, nioHTTP1, asyncHTTPClient, logging]
    ),
    ("JobHistory", ["JobHistory", "FunctionKit", nioCore, logging, grdb]),
    ("WebTokens", ["WebTokens"]),
    ("Webhooks", ["Webhooks", "FunctionKit", nioCore, nioPosix, nioHTTP1, nioSSL]),
    (
        "Host",
        [
            "Host", "Downloads", "WebTokens", "Webhooks", "FunctionKit", "BullQueue", "RedisClient", nioCore, nioPosix,
            nioHTTP1,
            logging,
            httpTypes, serviceLifecycle,
        ]
    ),
    (
        "Emulator",
        ["Emulator", "ObjectStorage", "FunctionKit", "Checksum", nioCore, nioPosix, nioHTTP1, asyncHTTPClient, logging]
    ),
    ("Ferry", ["ferry", "Host", "FunctionKit", nioCore, logging]),
]
for test in testDependencies {
    let path = "Tests/\(test.module)Tests"
    let folder = URL(fileURLWithPath: Context.packageDirectory).appendingPathComponent(path).path
    guard FileManager.default.fileExists(atPath: folder) else { continue }
    let hasFixtures = FileManager.default.fileExists(atPath: folder + "/Fixtures")
    targets.append(
        .testTarget(
            name: "\(test.module)Tests", dependencies: test.dependencies + ["TestSupport"], path: path,
            exclude: hasFixtures ? ["Fixtures"] : [], swiftSettings: settings, linkerSettings: opensModules))
}

let package = Package(
    name: "Ferry",
    products: [
        .executable(name: "ferry", targets: ["ferry"]),
        .library(name: "BullQueue", targets: ["BullQueue"]),
        .library(name: "FunctionKit", targets: ["FunctionKit"]),
        .library(name: "RedisClient", targets: ["RedisClient"]),
        .library(name: "ZipArchive", targets: ["ZipArchive"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: targets,
    swiftLanguageModes: [.v6]
)
