import Testing

@testable import ZipArchive

@Suite struct ZipNamesTests {
    @Test(arguments: [
        ("report.pdf", "report.pdf"),
        ("/etc/passwd", "etc/passwd"),
        ("../../x", "x"),
        ("a/./b/../c", "a/b/c"),
        ("..", "file"),
        ("", "file"),
        ("///", "file"),
        ("C:\\Windows\\system.ini", "Windows/system.ini"),
        ("c:x.txt", "x.txt"),
        ("a\\..\\b", "a/b"),
        ("line\nbreak\u{0}.txt", "line_break_.txt"),
        ("line\r\nbreak", "line__break"),
        ("trailing. . .", "trailing"),
        ("what?<>:\"|*", "what_______"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("COM1.log", "_COM1.log"),
        ("COMA.log", "COMA.log"),
        ("evil\u{202E}gpj.exe", "evil_gpj.exe"),
        ("Übung ✓.txt", "Übung ✓.txt"),
        (".hidden", ".hidden"),
    ])
    func namesAreMadeSafe(raw: String, safe: String) {
        #expect(ZipNames.sanitize(raw) == safe)
    }

    @Test func longNamesKeepTheirExtension() {
        let name = ZipNames.sanitize(String(repeating: "ü", count: 500) + ".tar")
        #expect(name.utf8.count <= 240)
        #expect(name.hasSuffix("ü.tar"))
        #expect(ZipNames.sanitize(String(repeating: "a/", count: 5000) + "b.txt") == "b.txt")
        #expect(ZipNames.sanitize("a." + String(repeating: "b", count: 500)).utf8.count == 240)
    }

    @Test func equalNamesAreNumberedBeforeTheExtension() {
        var names = ZipNames(reserved: ["_manifest.json"])
        let assigned = [
            "a.txt", "A.TXT", "a.txt", "a (2).txt", "b", "B", "folder.d/x", "folder.d/X", "_Manifest.json", ".x", ".X",
        ].map { names.assign($0) }
        #expect(
            assigned == [
                "a.txt", "A (2).TXT", "a (3).txt", "a (2) (2).txt", "b", "B (2)", "folder.d/x", "folder.d/X (2)",
                "_Manifest (2).json", ".x", ".X (2)",
            ])
    }

    @Test func manyEqualNamesAllDiffer() {
        var names = ZipNames()
        let assigned = (0..<5000).map { _ in names.assign("same.bin") }
        #expect(Set(assigned).count == 5000)
        #expect(assigned.last == "same (5000).bin")
    }

    @Test func canonicallyEqualNamesCountAsEqual() {
        var names = ZipNames()
        #expect(names.assign("e\u{301}.txt") == "e\u{301}.txt")
        #expect(names.assign("\u{E9}.txt") == "\u{E9} (2).txt")
    }
}
