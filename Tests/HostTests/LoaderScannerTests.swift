import Glibc
import Testing

@testable import Host

@Suite struct LoaderScannerTests {
    private let workspace = Result { try LoaderWorkspace() }

    @Test func findsFoldersWithManifestAndSwiftFiles() throws {
        let workspace = try workspace.get()
        try workspace.add("b-2", "{}", "struct B {}")
        try workspace.write("x", to: "b-2/more.swift")
        try workspace.write("x", to: "b-2/.hidden.swift")
        try workspace.write("x", to: "b-2/notes.md")
        try workspace.write("x", to: "b-2/fixtures/deep.swift")
        try workspace.add("a", "{}", "struct A {}")
        try workspace.write("x", to: ".git/config")
        try workspace.write("x", to: "README.md")
        try workspace.write("x", to: "assets/style.css")
        let result = try FunctionScanner().scan(workspace.functions)
        #expect(workspace.texts(result.problems) == [])
        #expect(result.sources.map(\.name) == ["a", "b-2"])
        #expect(result.sources[1].files.map(\.path.lastPathComponent) == ["b-2.swift", "more.swift"])
    }

    @Test func tellsWhatLooksLikeAFunctionAndIsNone() throws {
        let workspace = try workspace.get()
        try workspace.write("{}", to: "no-swift/function.json")
        try workspace.write("x", to: "no-manifest/a.swift")
        for name in ["Upper", "under_score", "-x", "ä"] { try workspace.add(name, "{}", "") }
        let result = try FunctionScanner().scan(workspace.functions)
        #expect(result.sources.isEmpty)
        let naming = "is no name for a function; use lower-case letters, digits and hyphens, at most 64"
        #expect(
            workspace.texts(result.problems).sorted() == [
                "-x: \"-x\" \(naming)", "Upper: \"Upper\" \(naming)",
                "no-manifest: has Swift files but no function.json, which says what calls it",
                "no-swift/function.json: there is no Swift file beside it",
                "under_score: \"under_score\" \(naming)", "ä: \"ä\" \(naming)",
            ])
    }

    @Test func doesNotWaitForPipesAndNamesWhatCannotBeReached() throws {
        let workspace = try workspace.get()
        try workspace.write("{}", to: "pipe/function.json")
        #expect(mkfifo("\(workspace.functions)/pipe/a.swift", 0o600) == 0)
        try workspace.write("x", to: "device/a.swift")
        #expect(symlink("/dev/zero", "\(workspace.functions)/device/function.json") == 0)
        #expect(symlink("/nowhere", "\(workspace.functions)/dangling") == 0)
        #expect(symlink("loop", "\(workspace.functions)/loop") == 0)
        #expect(mkdir("\(workspace.functions)/".utf8CString.dropLast() + [CChar(bitPattern: 0xFF), 0], 0o700) == 0)
        try workspace.add("good", "{}", "struct Good {}")
        let result = try FunctionScanner().scan(workspace.functions)
        #expect(result.sources.map(\.name) == ["good"])
        let device = "is a pipe, a socket or a device, not a file"
        #expect(
            workspace.texts(result.problems).sorted() == [
                "dangling: cannot be read: No such file or directory",
                "device: device/function.json \(device)",
                "loop: cannot be read: Too many levels of symbolic links",
                "pipe: pipe/a.swift \(device)", "\u{FFFD}: its name is not UTF-8",
            ])
    }

    @Test func aMissingFolderIsAnError() {
        let error = #expect(throws: LoaderError.self) { try FunctionScanner().scan("/nowhere/functions") }
        #expect(error?.code == .functionsFolder)
        #expect(error?.message.contains("--functions") == true)
    }

    @Test func twoFunctionsCannotWorkOneQueue() throws {
        let workspace = try workspace.get()
        try workspace.add("a", #"{"queue": "q", "on": "process"}"#, "struct A {}")
        try workspace.add("b", #"{"queue": "q", "on": "process"}"#, "struct B {}")
        try workspace.add("c", #"{"queue": "q", "on": "completed"}"#, "struct C {}")
        try workspace.add("d", #"{"queue": "q", "on": "completed"}"#, "struct D {}")
        let catalog = try FunctionCatalog.read(workspace.functions)
        #expect(catalog.entries.map(\.name) == ["a", "c", "d"])
        #expect(
            workspace.texts(catalog.problems) == [
                #"b/function.json:1:11: working the queue "q" is already that of a (a/function.json)"#
            ])
    }

    @Test func theCheckFindsMissingHandlersWithoutACompiler() async throws {
        let workspace = try workspace.get()
        try workspace.add("a", #"{"http": "GET /"}"#, "struct A {}")
        try workspace.add("b", #"{"http": "GET /b"}"#, LoaderWorkspace.hello)
        let check = try await FunctionCheck.run(folder: workspace.functions)
        #expect(check.count == 2)
        #expect(
            workspace.texts(check.problems) == [
                "a/function.json:1:10: no type of this folder conforms to HTTPFunction or TypedHTTPFunction, which the "
                    + "trigger needs"
            ])
    }

    @Test(arguments: [
        ("struct A: HTTPFunction {}", ["A"]),
        ("public final class A : Sendable , HTTPFunction { struct B: TypedHTTPFunction {} }", ["A", "A.B"]),
        ("struct A {}\nextension A: @retroactive FunctionKit.HTTPFunction {}", ["A"]),
        ("enum N {}\nextension N { struct A: HTTPFunction & Sendable {} }", ["N.A"]),
        ("extension N.M { struct A: HTTPFunction {} }", ["N.M.A"]),
        ("actor A: HTTPFunction where Self: Sendable {}", ["A"]),
        ("struct A<T>: HTTPFunction {}", []),
        ("protocol A: HTTPFunction {}", []),
        ("// struct A: HTTPFunction {}\n/* struct B: HTTPFunction {} /* } */ struct C: HTTPFunction {} */", []),
        (#"let a = "struct A: HTTPFunction {}"; struct B: HTTPFunction {}"#, ["B"]),
        (#"let a = "\(f("}{")) {" ; struct B: HTTPFunction {}"#, ["B"]),
        (##"let a = #"\(" {"# ; struct B: HTTPFunction {}"##, ["B"]),
        ("let a = \"\"\"\n struct A: HTTPFunction { \" \"\" \n \"\"\"\nstruct B: HTTPFunction {}", ["B"]),
        ("func f() { struct A {} }\nstruct B: HTTPFunction {}", ["B"]),
        ("class C { class func f() {}; class var x: Int { 1 } }\nstruct B: HTTPFunction {}", ["B"]),
        ("import struct Foundation.Date\nstruct B: HTTPFunction {}", ["B"]),
        ("struct B: Comparable, HTTPFunction, Dictionary<Int, HTTPFunction> {}", ["B"]),
        ("struct B: Dictionary<Int, HTTPFunction> {}", []),
        ("struct A: HTTPFunction", []),
        ("}}}} struct A: HTTPFunction {}", ["A"]),
        ("struct", []), ("\"", []), ("/*", []), ("extension", []), ("#\"", []), ("\"\\(", []),
    ])
    func findsHandlers(source: String, names: [String]) {
        let finder = HandlerFinder(sources: [("a.swift", Array(source.utf8))])
        #expect(finder.candidates(.http).map(\.name) == names)
    }

    @Test(arguments: [
        ("private struct A: HTTPFunction {}", true), ("fileprivate final class A: HTTPFunction {}", true),
        ("@available(macOS 1, *) private struct A: HTTPFunction {}", true),
        ("private let x = 1\nstruct A: HTTPFunction {}", false),
        ("private func f() {}\nstruct A: HTTPFunction {}", false),
        ("private import X\nstruct A: HTTPFunction {}", false),
        ("private struct B {}\nstruct A: HTTPFunction {}", false),
        ("struct A: HTTPFunction {}", false),
    ])
    func knowsPrivateHandlers(source: String, isPrivate: Bool) {
        let finder = HandlerFinder(sources: [("a.swift", Array(source.utf8))])
        #expect(finder.candidates(.http).map(\.isPrivate) == [isPrivate])
    }

    @Test func findsImportsAndConformancesAcrossFiles() {
        let finder = HandlerFinder(sources: [
            ("a.swift", Array("import FunctionKit\n@preconcurrency import struct Foo.Bar\nstruct A {}".utf8)),
            ("b.swift", Array("\nextension A: QueueFunction {}".utf8)),
        ])
        #expect(
            finder.imports.map { "\($0.module):\($0.file):\($0.line)" } == ["FunctionKit:a.swift:1", "Foo:a.swift:2"])
        #expect(finder.candidates(.queue).map { "\($0.name):\($0.file):\($0.line)" } == ["A:a.swift:3"])
    }
}
