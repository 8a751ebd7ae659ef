import Glibc
import Testing

@testable import Host

@Suite struct LoaderPartsTests {
    // MARK: - Build id notes

    /// A shared object with one segment of notes.
    private static func elf(notes: [UInt8], alignment: UInt64 = 4, type: UInt16 = 3) -> [UInt8] {
        func bytes<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
            withUnsafeBytes(of: value.littleEndian) { Array($0) }
        }
        #if arch(x86_64)
        let machine: UInt16 = 62
        #else
        let machine: UInt16 = 183
        #endif
        var file: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
        file += bytes(type) + bytes(machine) + bytes(UInt32(1)) + bytes(UInt64(0)) + bytes(UInt64(64))
        file += bytes(UInt64(0)) + bytes(UInt32(0)) + bytes(UInt16(64)) + bytes(UInt16(56)) + bytes(UInt16(2))
        file += bytes(UInt16(0)) + bytes(UInt16(0)) + bytes(UInt16(0))
        file += bytes(UInt32(1)) + [UInt8](repeating: 0, count: 52)
        file += bytes(UInt32(4)) + bytes(UInt32(4)) + bytes(UInt64(176)) + bytes(UInt64(0)) + bytes(UInt64(0))
        file += bytes(UInt64(notes.count)) + bytes(UInt64(notes.count)) + bytes(alignment)
        return file + notes
    }

    private static func note(
        _ name: [UInt8], _ type: UInt32, _ description: [UInt8], alignment: Int = 4
    ) -> [UInt8] {
        func padded(_ bytes: [UInt8]) -> [UInt8] {
            bytes + [UInt8](repeating: 0, count: (alignment - bytes.count % alignment) % alignment)
        }
        let header = [UInt32(name.count), UInt32(description.count), type].flatMap { value in
            withUnsafeBytes(of: value.littleEndian) { Array($0) }
        }
        return header + padded(name) + padded(description)
    }

    private static let gnu: [UInt8] = [0x47, 0x4E, 0x55, 0]

    @Test func readsTheBuildIDBehindOtherNotes() throws {
        let notes =
            Self.note(Array("stapsdt\0".utf8), 3, [9, 9, 9, 9, 9]) + Self.note(Self.gnu, 1, [0, 0, 0, 0])
            + Self.note(Self.gnu, 3, [0xDE, 0xAD, 0x01])
        #expect(try ELFBuildID.read(Self.elf(notes: notes)) == "dead01")
        let wide = Self.note(Self.gnu, 5, [1, 2, 3], alignment: 8) + Self.note(Self.gnu, 3, [0xAB], alignment: 8)
        #expect(try ELFBuildID.read(Self.elf(notes: wide, alignment: 8)) == "ab")
    }

    @Test func refusesAFileThatLacksSomeOfWhatIsLoaded() throws {
        var bytes = Self.elf(notes: Self.note(Self.gnu, 3, [1, 2, 3, 4]))
        // The size in the file of the first segment, which is loaded.
        let size = 64 + 32
        bytes[size] = UInt8(bytes.count)
        #expect(try ELFBuildID.read(bytes) == "01020304")
        bytes[size] += 1
        let fault = #expect(throws: ELFBuildID.Fault.self) { try ELFBuildID.read(bytes) }
        #expect(fault?.reason == "is cut short")
    }

    @Test func refusesEveryCutAndEveryBrokenOffset() {
        let good = Self.elf(notes: Self.note(Self.gnu, 3, [1, 2, 3, 4]))
        for end in 0..<good.count {
            #expect(throws: ELFBuildID.Fault.self) { try ELFBuildID.read(Array(good[..<end])) }
        }
        // Any one byte wrong gives an id or a fault, never a trap.
        for index in good.indices {
            for value: UInt8 in [0, 0x7F, 0x80, 0xFF] {
                var bytes = good
                bytes[index] = value
                _ = try? ELFBuildID.read(bytes)
            }
        }
        // Sizes near the top of their range.
        for range in [32..<40, 120 + 8..<120 + 16, 120 + 32..<120 + 40, 176..<180, 180..<184] {
            var bytes = good
            for index in range { bytes[index] = 0xFF }
            #expect(throws: ELFBuildID.Fault.self) { try ELFBuildID.read(bytes) }
        }
    }

    @Test(arguments: [
        ([UInt8]("#!/bin/sh".utf8), "is not an ELF file"),
        (elf(notes: [], type: 2), "is not a shared object"),
        (elf(notes: []), "has no build id"),
        (elf(notes: note(gnu, 1, [1])), "has no build id"),
    ])
    func saysWhyThereIsNoBuildID(bytes: [UInt8], reason: String) {
        let fault = #expect(throws: ELFBuildID.Fault.self) { try ELFBuildID.read(bytes) }
        #expect(fault?.reason == reason)
    }

    // MARK: - Diagnostics

    @Test func readsTheCompilersMessages() {
        let output = """
            functions/a/a.swift:3:5: error: cannot find 'x' in scope: really
                x()
                ^
            functions/a/a.swift:9:1: note: somewhere else
            foo
            functions/a:b.swift:4:7: warning: variable 'y' was never used
                let y = 1
                    ^
            functions/a/a.swift:3:5: error: cannot find 'x' in scope: really
                x()
                ^
            <unknown>:0: error: missing required module 'Foo'
            error: link command failed with exit code 1 (use -v to see invocation)
            """
        let diagnostics = CompilerDiagnostic.parse(output)
        #expect(
            diagnostics == [
                .init(
                    severity: .error, file: "functions/a/a.swift", line: 3, column: 5,
                    message: "cannot find 'x' in scope: really", excerpt: "    x()\n    ^"),
                .init(
                    severity: .warning, file: "functions/a:b.swift", line: 4, column: 7,
                    message: "variable 'y' was never used", excerpt: "    let y = 1\n        ^"),
                .init(
                    severity: .error, file: "<unknown>", line: nil, column: nil,
                    message: "missing required module 'Foo'", excerpt: nil),
                .init(
                    severity: .error, file: "<unknown>", line: nil, column: nil,
                    message: "link command failed with exit code 1 (use -v to see invocation)", excerpt: nil),
            ])
    }

    // MARK: - Subprocesses

    private func run(
        _ script: String, deadline: Duration = .seconds(60), limit: Int = 1000, _ cancellation: Cancellation = .init()
    ) throws -> Subprocess {
        try Subprocess.run(
            ["/bin/sh", "-c", script], deadline: deadline, outputLimit: limit, cancellation: cancellation)
    }

    @Test func collectsOutputAndStatus() throws {
        let run = try run("echo out; echo err >&2; exit 7")
        #expect(run.ending == .exited(7) && run.output == "out\nerr\n")
        #expect(try self.run("kill -TERM $$").ending == .signalled(SIGTERM))
    }

    @Test func keepsOnlySoMuchOutputAndReadsTheRest() throws {
        let run = try run("head -c 1000000 /dev/zero | tr '\\0' x; exit 3", limit: 100)
        #expect(run.output == String(repeating: "x", count: 100) && run.ending == .exited(3))
    }

    @Test func endsTheProgramAndItsChildrenAtTheDeadline() throws {
        let start = ContinuousClock.now
        // The child holds the output open; only a kill of the whole group ends the wait.
        let run = try run("echo begun; sleep 300 & sleep 300", deadline: .milliseconds(200))
        #expect(run.ending == .timedOut && run.output == "begun\n")
        #expect(ContinuousClock.now - start < .seconds(60))
    }

    @Test func endsTheProgramWhenCancelled() throws {
        let cancellation = Cancellation()
        cancellation.cancel()
        #expect(try run("sleep 300", cancellation).ending == .cancelled)
    }

    @Test func aProgramThatIsNotThereIsAnError() {
        let error = #expect(throws: LoaderError.self) {
            try Subprocess.run(
                ["/nowhere/swiftc"], deadline: .seconds(5), outputLimit: 10, cancellation: Cancellation())
        }
        #expect(error?.message == "cannot run /nowhere/swiftc: No such file or directory")
    }

    @Test func cancellingABuildEndsTheCompiler() async throws {
        let workspace = try LoaderWorkspace()
        try workspace.add("hello", #"{"http": "GET /hello"}"#, LoaderWorkspace.hello)
        let fake = "\(workspace.root)/swiftc"
        try FileSystem.write(Array("#!/bin/sh\necho $$ > \(workspace.root)/pid\nsleep 300\n".utf8), to: fake)
        chmod(fake, 0o755)
        let compiler = try workspace.compiler(fake)
        let entry = try workspace.entry("hello")
        // Ends with this test: it is cancelled and awaited below.
        let task = Task {
            try await BlockingThreads.with(1) { threads in
                try await threads.run { try compiler.build(entry, isChecked: false, cancellation: $0).path }
            }
        }
        let end = ContinuousClock.now + .seconds(30)
        while !FileSystem.isFile("\(workspace.root)/pid"), ContinuousClock.now < end { await Task.yield() }
        #expect(FileSystem.isFile("\(workspace.root)/pid"))
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(workspace.modules == [])
    }
}
