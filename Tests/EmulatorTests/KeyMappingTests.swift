import Testing

@testable import Emulator

@Suite struct KeyMappingTests {
    @Test(arguments: [
        ("downloads/70000.zip", ["downloads", "70000.zip"]),
        ("naïve name.txt", ["naïve name.txt"]),
        ("/a//b/", ["%-", "a", "%-", "b", "%-"]),
        ("../.", ["%2E%2E", "%2E"]),
        ("...", ["..."]),
        ("100%\n", ["100%25%0A"]),
    ])
    func mapsToReadableNames(_ key: String, _ names: [String]) throws {
        #expect(KeyMapping.names(of: try #require(ObjectKey(key))) == names)
    }

    @Test func everyNameFitsAFolderAndLeadsBack() throws {
        for key in awkwardKeys {
            let names = KeyMapping.names(of: try #require(ObjectKey(key)))
            var bytes: [UInt8] = []
            for (index, name) in names.enumerated() {
                #expect(name.utf8.count <= KeyMapping.maximumNameBytes)
                #expect(!name.contains("/") && name != "." && name != ".." && !name.isEmpty)
                switch try #require(KeyMapping.read(name)) {
                case .piece(let piece): bytes += piece
                case .segment(let segment, let isBeside):
                    #expect(!isBeside)
                    bytes += segment + (index < names.count - 1 ? [UInt8(ascii: "/")] : [])
                }
            }
            #expect(String(decoding: bytes, as: UTF8.self).utf8.elementsEqual(key.utf8), "\(key)")
        }
    }

    @Test func noTwoKeysShareAPath() throws {
        let paths = try awkwardKeys.map { KeyMapping.names(of: try #require(ObjectKey($0))).joined(separator: "/") }
        #expect(Set(paths.map { Array($0.utf8) }).count == awkwardKeys.count)
    }

    @Test(arguments: ["", "%", "%4", "%zz", "%41", "%2e", "a%2", "%+"])
    func otherNamesAreNoKeys(_ name: String) {
        #expect(KeyMapping.read(name) == nil)
    }

    @Test func theNameBesideAFolderIsReadAsTheFile() {
        #expect(KeyMapping.read("a%") == .segment(Array("a".utf8), isBeside: true))
    }

    @Test func keysAreComparedByTheirBytes() throws {
        let composed = try #require(ObjectKey("é"))
        let decomposed = try #require(ObjectKey("e\u{301}"))
        #expect(composed != decomposed)
        #expect(decomposed < composed)
        #expect(Set([composed, decomposed]).count == 2)
        #expect(ObjectKey("") == nil)
        #expect(ObjectKey(String(repeating: "ü", count: 513)) == nil)
    }
}
