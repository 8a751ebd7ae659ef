import Downloads
import Foundation
import Testing
import Webhooks

@testable import Host

@Suite struct CallbacksConfigurationTests {
    private static let secret = String(repeating: "s3cret", count: 6)

    @Test func `every key is read, and the secret of the environment wins and is not shown`() throws {
        let file = try self.file(
            """
            {"callbacks": {"secret": "\(Self.secret)", "allow": ["10.0.0.0/8", "fd00::/8", "127.0.0.1"],
              "allowHTTP": true, "timeout": "3s", "attempts": 4, "retryDelay": "1s", "retryMaxDelay": "5m"}}
            """)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let callbacks = try Configuration.load(file: file, environment: [:]).callbacks
        #expect(callbacks.secret?.value == Self.secret && callbacks.allowsHTTP)
        #expect(callbacks.allow == ["10.0.0.0/8", "fd00::/8", "127.0.0.1"].compactMap(AddressNetwork.init))
        #expect(callbacks.delivery.timeout == .seconds(3) && callbacks.delivery.attempts == 4)
        #expect(callbacks.delivery.retryDelay == .seconds(1) && callbacks.delivery.retryMaxDelay == .seconds(300))
        let own = String(repeating: "environ", count: 5)
        let other = try Configuration.load(file: file, environment: ["FERRY_CALLBACK_SECRET": own]).callbacks
        #expect(other.secret?.value == own)
        #expect(!"\(other)".contains(own))
    }

    @Test(arguments: [
        #"{"secret": "too-short"}"#, #"{"allow": ["10.0.0.0/33"]}"#, #"{"allow": ["localhost"]}"#, #"{"allow": "::1"}"#,
        #"{"allow": [7]}"#, #"{"allowHTTP": "yes"}"#, #"{"timeout": "31s"}"#, #"{"timeout": "99ms"}"#,
        #"{"attempts": 0}"#, #"{"attempts": 51}"#, #"{"retryDelay": "2h"}"#, #"{"retryMaxDelay": "25h"}"#,
        #"{"url": "https://x"}"#,
    ])
    func `what cannot be used is refused`(_ section: String) throws {
        let file = try self.file(#"{"callbacks": \#(section)}"#)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let error = #expect(throws: Configuration.Invalid.self) {
            try Configuration.load(file: file, environment: [:])
        }
        #expect(error?.problems.count == 1)
        #expect(error?.description.contains("callbacks.") == true && error?.description.contains("too-short") == false)
    }

    @Test func `a data folder's key is made once, and only where that is wanted`() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/key-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(try CallbackKey.read(dataFolder: folder, isMade: false) == nil)
        let key = try #require(try CallbackKey.read(dataFolder: folder, isMade: true))
        #expect(key.value.utf8.count == 64)
        #expect(try CallbackKey.read(dataFolder: folder, isMade: false) == key)
    }

    private func file(_ text: String) throws -> String {
        let path = FileManager.default.temporaryDirectory.path + "/config-\(UUID().uuidString).json"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }
}
