import CoreFoundation
import FunctionKit
import Glibc
import Logging
import NIOCore
import Testing

@testable import Host

/// Compiles real modules, opens them in this process and calls them.
@Suite struct LoaderModuleTests {
    private let workspace = Result { try LoaderWorkspace() }

    private func answer(_ function: LoadedFunction?, _ request: Request) async throws -> Response {
        guard case .http(let handle) = try #require(function).handler else {
            throw LoaderError(.system, "not an HTTP handler")
        }
        return try await handle(request, LoaderWorkspace.context)
    }

    @Test func everyKindOfHandlerIsBuiltLoadedAndCalled() async throws {
        let workspace = try workspace.get()
        try workspace.add("hello", #"{"http": "GET /hello/:name", "timeout": "5s"}"#, LoaderWorkspace.hello)
        try workspace.add(
            "double-it", #"{"http": "POST /double"}"#,
            """
            import FunctionKit

            struct Double: TypedHTTPFunction {
                struct Input: Codable { var number: Int }
                func handle(_ input: Input, _ request: Request, _ context: Context) async throws -> [String: Int] {
                    guard input.number < 100 else { throw HTTPError(.conflict, message: "Too much.") }
                    return ["number": input.number * 2]
                }
            }
            """)
        try workspace.add(
            "work", #"{"queue": "q", "on": "process", "retry": {"attempts": 7}}"#,
            """
            import FunctionKit

            enum Jobs {
                struct Payload: Codable { var n: Int }
                actor Work {}
            }
            extension Jobs {
                struct Worker: QueueFunction {
                    func process(_ job: QueueJob<Payload>, _ context: Context) async throws -> Int {
                        if job.payload.n < 0 { throw Permanent("negative") }
                        return job.payload.n + 1
                    }
                }
            }
            """)
        try workspace.add(
            "watch", #"{"queue": "q", "on": "progress"}"#,
            """
            import FunctionKit

            final class Watch: EventFunction {
                init() {}
                func handle(_ event: QueueEvent, _ context: Context) async throws {
                    throw RetryAfter(.seconds(3), "\\(event.kind) \\(event.data)")
                }
            }
            """)
        try workspace.add(
            "ticks", #"{"sse": "/ticks"}"#,
            """
            import FunctionKit

            struct Ticks: StreamFunction {
                func stream(_ request: Request, _ events: EventStream, _ context: Context) async throws {
                    try await events.send(ServerSentEvent(request.path))
                }
            }
            """)
        try workspace.add(
            "talk", #"{"websocket": "/talk"}"#,
            """
            import FunctionKit

            struct Talk: WebSocketFunction {
                func handle(_ request: Request, _ upgrade: WebSocketUpgrade, _ context: Context) async throws {
                    throw HTTPError(.forbidden, message: upgrade.protocols.joined())
                }
            }
            """)
        let registry = try await workspace.load()
        #expect(workspace.texts(registry.problems) == [])
        try #require(registry.functions.map(\.name) == ["double-it", "hello", "talk", "ticks", "watch", "work"])
        #expect(registry.manifests["work"]?.retry.attempts == 7)

        let hello = try await answer(
            registry.functions[1], Request(method: .get, path: "/hello/Ann", parameters: ["name": "Ann"]))
        #expect(String(buffer: hello.body) == "Hello, Ann!")
        let double = try await answer(
            registry.functions[0],
            Request(
                method: .post, path: "/double", headers: [.contentType: "application/json"],
                body: ByteBuffer(string: #"{"number": 21}"#)))
        #expect(String(buffer: double.body) == #"{"number":42}"#)
        // Types are one across the boundary: what the module throws is caught by its type.
        let error = await #expect(throws: HTTPError.self) {
            try await answer(
                registry.functions[0],
                Request(
                    method: .post, path: "/double", headers: [.contentType: "application/json"],
                    body: ByteBuffer(string: #"{"number": 100}"#)))
        }
        #expect(error?.status == .conflict && error?.message == "Too much.")

        guard case .webSocket(let talk) = registry.functions[2].handler,
            case .stream(let ticks) = registry.functions[3].handler,
            case .event(let watch) = registry.functions[4].handler,
            case .queue(let work) = registry.functions[5].handler
        else { throw LoaderError(.system, "wrong kinds") }
        func job(_ payload: String) -> QueueJob<String> {
            QueueJob(
                id: "1", name: "n", queue: "q", payload: payload, attempt: 1, maxAttempts: 3,
                addedAt: Timestamp(milliseconds: 0))
        }
        #expect(try await work(job(#"{"n":41}"#), LoaderWorkspace.context) == "42")
        await #expect(throws: Permanent.self) { try await work(job(#"{"n":-1}"#), LoaderWorkspace.context) }
        let retry = await #expect(throws: RetryAfter.self) {
            try await watch(QueueEvent(kind: .progress, queue: "q", jobID: "1", data: "50"), LoaderWorkspace.context)
        }
        #expect(retry?.message == "progress 50")

        let request = Request(method: .get, path: "/ticks")
        let taken = TakenEvents()
        try await ticks(request, EventStream(taken), LoaderWorkspace.context)
        #expect(taken.events.value == [ServerSentEvent("/ticks")])
        let refusal = await #expect(throws: HTTPError.self) {
            try await talk(request, WebSocketUpgrade(NoUpgrade(), protocols: ["a"]), LoaderWorkspace.context)
        }
        #expect(refusal?.message == "a")
    }

    @Test func brokenFunctionsAreReportedAndTheOthersServed() async throws {
        let workspace = try workspace.get()
        try workspace.add("hello", #"{"http": "GET /hello"}"#, LoaderWorkspace.hello)
        try workspace.add(
            "typo", #"{"http": "GET /typo"}"#, LoaderWorkspace.hello.replacing(".text(", with: ".txt("))
        try workspace.add("manifest", "{\n  \"http\": \"GET typo\"\n}", LoaderWorkspace.hello)
        try workspace.add("wrong-kind", #"{"queue": "q", "on": "process"}"#, LoaderWorkspace.hello)
        try workspace.add("named", #"{"http": "GET /n", "handler": "Helo"}"#, LoaderWorkspace.hello)
        try workspace.add("unfit", #"{"http": "GET /u", "handler": "Unfit"}"#, "struct Unfit {}")
        try workspace.add(
            "several", #"{"http": "GET /s"}"#,
            LoaderWorkspace.hello + "\n" + LoaderWorkspace.hello.replacing("Hello:", with: "Other:"))
        try workspace.add("insider", #"{"http": "GET /i"}"#, "import Host\n" + LoaderWorkspace.hello)
        try workspace.add("later", #"{"http": "GET /hello"}"#, LoaderWorkspace.hello)
        try workspace.add("latest", #"{"sse": "/hello"}"#, LoaderWorkspace.hello)
        try workspace.add("streamless", #"{"websocket": "/sockets"}"#, LoaderWorkspace.hello)
        let registry = try await workspace.load()
        #expect(registry.functions.map(\.name) == ["hello"])
        let texts = workspace.texts(registry.problems)
        #expect(
            texts.map { String($0.prefix { $0 != ";" }) } == [
                "insider/insider.swift:1: Host is not for functions",
                #"later/function.json:1:10: the route "GET /hello" is already that of hello (hello/function.json)"#,
                #"latest/function.json:1:9: the route "GET /hello" is already that of hello (hello/function.json)"#,
                #"manifest/function.json:2:11: http has the path "typo", which must begin with "/""#,
                #"named/function.json:1:31: handler "Helo" is not declared in this folder"#,
                "several/function.json:1:10: several types could handle the trigger: Hello (several.swift:3), "
                    + "Other (several.swift:10)",
                "streamless/function.json:1:15: no type of this folder conforms to WebSocketFunction, which the trigger "
                    + "needs",
                "typo/typo.swift:5:10: type 'Response' has no member 'txt'",
                "unfit/function.json:1:31: Unfit cannot be the handler, a type that conforms to HTTPFunction or "
                    + "TypedHTTPFunction: no exact matches in call to initializer ",
                "wrong-kind/function.json:1:11: no type of this folder conforms to QueueFunction, which the trigger needs",
            ])
        #expect(texts.last?.hasSuffix("; found Hello (wrong-kind.swift:3): HTTPFunction") == true)
        let typo = try #require(registry.problems.first { $0.function == "typo" })
        #expect(typo.problem.excerpt?.hasPrefix("        .txt(\"Hello, ") == true)
        #expect(
            registry.manifests.keys.sorted() == [
                "hello", "insider", "named", "several", "streamless", "typo", "unfit", "wrong-kind",
            ])
    }

    @Test func onlyTheNamedAreLoadedButAllManifestsRead() async throws {
        let workspace = try workspace.get()
        try workspace.add("hello", #"{"http": "GET /hello"}"#, LoaderWorkspace.hello)
        try workspace.add("broken", #"{"http": "GET /broken"}"#, "struct")
        let registry = try await workspace.load(only: ["hello"])
        #expect(registry.functions.map(\.name) == ["hello"] && registry.problems == [])
        #expect(registry.manifests.keys.sorted() == ["broken", "hello"])
        #expect(workspace.modules.count == 1)
        let error = await #expect(throws: LoaderError.self) { try await workspace.load(only: ["helo"]) }
        #expect(error?.message == #"there is no function "helo"; did you mean "hello"?"#)
    }

    @Test func unchangedIsNotBuiltAgainAndAnEditIs() async throws {
        let workspace = try workspace.get()
        try workspace.add("hello", #"{"http": "GET /hello"}"#, LoaderWorkspace.hello)
        func build() async throws -> FunctionBuild.Outcome {
            try #require(
                try await FunctionBuild.run(
                    folder: workspace.functions, dataFolder: workspace.data, sdk: workspace.sdk
                ).first)
        }
        func state() async throws -> FunctionListing.State? {
            try await FunctionListing.list(
                folder: workspace.functions, dataFolder: workspace.data, sdk: workspace.sdk
            ).first?.state
        }
        #expect(try await state() == .notBuilt)
        let first = try await build()
        #expect(first.isNew && first.problems == [])
        #expect(try await state() == .built)
        let second = try await build()
        #expect(!second.isNew && second.module == first.module)

        // What does not reach the module does not make a new one; what does, does.
        try workspace.write(#"{"http": "GET /hello2", "timeout": "1s"}"#, to: "hello/function.json")
        #expect(try await build().isNew == false)
        try workspace.write(LoaderWorkspace.hello.replacing("Hello, ", with: "Bye, "), to: "hello/hello.swift")
        #expect(try await state() == .stale)
        let old = try await workspace.load()
        let edited = try await build()
        #expect(!edited.isNew && edited.module != first.module)
        let answer = try await answer(old.functions.first, Request(method: .get, path: "/hello2"))
        #expect(String(buffer: answer.body) == "Bye, world!")
    }

    @Test func twoVersionsOfAFunctionLiveSideBySide() async throws {
        let workspace = try workspace.get()
        try workspace.add("hello", #"{"http": "GET /hello"}"#, LoaderWorkspace.hello)
        let old = try await workspace.load()
        try workspace.write(LoaderWorkspace.hello.replacing("Hello, ", with: "Bye, "), to: "hello/hello.swift")
        let new = try await workspace.load()
        for (registry, text) in [(old, "Hello, world!"), (new, "Bye, world!"), (old, "Hello, world!")] {
            let response = try await answer(registry.functions.first, Request(method: .get, path: "/hello"))
            #expect(String(buffer: response.body) == text)
        }
    }

    @Test func aModuleOfAnotherHostIsRefusedUntilBuiltAgain() async throws {
        let workspace = try workspace.get()
        try workspace.add("hello", #"{"http": "GET /hello"}"#, LoaderWorkspace.hello)
        let compiler = try workspace.compiler()
        let entry = try workspace.entry("hello")
        let module = try compiler.build(entry, isChecked: false, cancellation: Cancellation())
        let original = try FileSystem.read(module.path)
        let id = Array(compiler.identity.id.utf8)
        let raw = stride(from: 0, to: id.count, by: 2).map {
            UInt8(String(decoding: id[$0..<$0 + 2], as: UTF8.self), radix: 16)!
        }
        var tampered = original
        let place = try #require(tampered.indices.first { tampered[$0...].starts(with: raw) })
        tampered[place] ^= 0xFF
        let foreign = try ELFBuildID.read(tampered)

        for (bytes, reason) in [
            (tampered, "its build id is \(foreign), this host's is \(compiler.identity.id)"),
            (Array(original[..<64]), "is no module: it is cut short"),
            (Array("#!/bin/sh\n".utf8), "is no module: it is not an ELF file"),
        ] {
            try FileSystem.write(bytes, to: module.path)
            let registry = try await workspace.load()
            #expect(registry.functions.isEmpty)
            let problem = try #require(registry.problems.first)
            #expect(problem.problem.file == module.path)
            #expect(problem.problem.reason.contains(reason), "\(problem)")
            #expect(problem.problem.reason.contains("ferry build hello"))
        }
        let outcome = try await FunctionBuild.run(
            folder: workspace.functions, only: ["hello"], dataFolder: workspace.data, sdk: workspace.sdk)
        #expect(outcome.first?.isNew == true)
        #expect(try await workspace.load().functions.count == 1)
    }

    @Test func aMissingSymbolNamesModuleSymbolAndReason() throws {
        let workspace = try workspace.get()
        try workspace.add(
            "hello", #"{"http": "GET /hello"}"#,
            """
            import FunctionKit

            @_silgen_name("no_such_symbol_anywhere") func missing() -> Int

            struct Hello: HTTPFunction {
                func handle(_ request: Request, _ context: Context) async throws -> Response { .text("\\(missing())") }
            }
            """)
        let compiler = try workspace.compiler()
        let entry = try workspace.entry("hello")
        let module = try compiler.build(entry, isChecked: false, cancellation: Cancellation())
        let problem = #expect(throws: FileProblem.self) {
            try ModuleLoader(identity: compiler.identity).load(module.path, for: entry)
        }
        #expect(problem?.file == module.path)
        #expect(problem?.reason.contains("no_such_symbol_anywhere") == true, "\(problem?.reason ?? "")")
    }

    @Test func aModuleThatHandlesAnotherKindIsRefused() throws {
        let workspace = try workspace.get()
        try workspace.add("hello", #"{"http": "GET /hello"}"#, LoaderWorkspace.hello)
        let compiler = try workspace.compiler()
        let module = try compiler.build(try workspace.entry("hello"), isChecked: false, cancellation: Cancellation())
        try workspace.write(#"{"queue": "q", "on": "process"}"#, to: "hello/function.json")
        let problem = #expect(throws: FileProblem.self) {
            try ModuleLoader(identity: compiler.identity).load(module.path, for: workspace.entry("hello"))
        }
        #expect(problem?.reason == "handles the kind http, but the trigger needs queue; run \"ferry build hello\"")
    }

    @Test func builtModulesLoadWithoutACompiler() throws {
        let workspace = try workspace.get()
        try workspace.add("hello", #"{"http": "GET /hello"}"#, LoaderWorkspace.hello)
        let without = try workspace.compiler(nil)
        func failure() throws -> String? {
            let error = #expect(throws: FileProblems.self) {
                try without.build(workspace.entry("hello"), isChecked: false, cancellation: Cancellation())
            }
            return error?.problems.first?.reason
        }
        #expect(try failure()?.hasPrefix("the function is not built, and there is no Swift compiler (swiftc)") == true)
        let module = try workspace.compiler().build(
            workspace.entry("hello"), isChecked: false, cancellation: Cancellation())
        let loader = try FunctionLoader(dataFolder: workspace.data, sdk: workspace.sdk, locateCompiler: { nil })
        #expect(try loader.load(workspace.entry("hello"), cancellation: Cancellation()).name == "hello")
        try workspace.write(LoaderWorkspace.hello + "\n", to: "hello/hello.swift")
        #expect(try failure()?.hasPrefix("the function has changed since it was built") == true)
        #expect(FileSystem.isFile(module.path))
    }

    @Test func anotherCompilerIsNamed() throws {
        let workspace = try workspace.get()
        try workspace.add("hello", #"{"http": "GET /hello"}"#, LoaderWorkspace.hello)
        let fake = "\(workspace.root)/swiftc"
        let script = "#!/bin/sh\ncase $1 in --version) echo 'Swift version 5.0 (old)';; *) echo oops; exit 1;; esac\n"
        try FileSystem.write(Array(script.utf8), to: fake)
        chmod(fake, 0o755)
        let compiler = try workspace.compiler(fake)
        let error = #expect(throws: LoaderError.self) {
            try compiler.build(workspace.entry("hello"), isChecked: false, cancellation: Cancellation())
        }
        #expect(error?.code == .compiler)
        #expect(
            error?.message.contains("is Swift version 5.0 (old), but this Ferry was built by Swift version") == true)
        #expect(workspace.modules == [])
    }

    @Test func buildersAtTheSameTimeDoTheWorkOnce() async throws {
        let workspace = try workspace.get()
        try workspace.add("hello", #"{"http": "GET /hello"}"#, LoaderWorkspace.hello)
        let outcomes = try await withThrowingTaskGroup(of: [FunctionBuild.Outcome].self) { group in
            for _ in 0..<4 {
                group.addTask {
                    try await FunctionBuild.run(
                        folder: workspace.functions, dataFolder: workspace.data, sdk: workspace.sdk)
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(outcomes.count == 4 && outcomes.allSatisfy { $0.module != nil })
        #expect(outcomes.filter(\.isNew).count == 1)
        #expect(workspace.modules.count == 1)
        #expect(try FileSystem.names(in: "\(workspace.data)/modules").filter { $0.hasPrefix(".build-") } == [])
    }

    @Test func oldModulesArePrunedAndTheNewestKept() throws {
        let workspace = try workspace.get()
        let store = ModuleStore(dataFolder: workspace.data)
        try FileSystem.makeFolder(store.folder)
        let hashes = (0..<7).map { "\($0)" + String(repeating: "a", count: ModuleStore.hashLength - 1) }
        for (index, hash) in hashes.enumerated() {
            let path = store.path("hello", hash: hash)
            try FileSystem.write([1], to: path)
            let time = timespec(tv_sec: 1_000_000 + index, tv_nsec: 0)
            utimensat(AT_FDCWD, path, [time, time], 0)
        }
        try FileSystem.write([1], to: store.path("hello-world", hash: hashes[0]))
        FileSystem.touch(store.path("hello", hash: hashes[0]))
        store.prune("hello")
        let kept = [0, 6, 5, 4].map { store.path("hello", hash: hashes[$0]) }
        #expect(store.modules(of: "hello") == kept)
        #expect(store.modules(of: "hello-world").count == 1)
    }

    @Test func aCopiedSDKBuildsAndLoadsTheSame() async throws {
        let workspace = try workspace.get()
        try workspace.add(
            "hello", #"{"http": "GET /hello"}"#,
            "import Downloads\nimport HTTPTypes\nimport Logging\nimport NIOCore\n" + LoaderWorkspace.hello)
        try workspace.sdk.copy(to: "\(workspace.root)/lib/ferry")
        let copy = try FunctionSDK(at: "\(workspace.root)/lib/ferry")
        let registry = try await FunctionRegistry.load(
            folder: workspace.functions, dataFolder: workspace.data, sdk: copy, logger: Logger(label: "test"))
        #expect(workspace.texts(registry.problems) == [])
        let response = try await answer(registry.functions.first, Request(method: .get, path: "/hello"))
        #expect(String(buffer: response.body) == "Hello, world!")
        // The same bytes elsewhere are the same build id.
        let id = try BuildIdentity.of(workspace.sdk, dataFolder: workspace.data)
        #expect(try BuildIdentity.of(copy, dataFolder: workspace.data) == id)
    }

    @Test func aChangedSDKHasAnotherBuildIDAtOnce() throws {
        let workspace = try workspace.get()
        try workspace.sdk.copy(to: "\(workspace.root)/sdk")
        let sdk = try FunctionSDK(at: "\(workspace.root)/sdk")
        let first = try BuildIdentity.of(sdk, dataFolder: workspace.data)
        #expect(try BuildIdentity.of(sdk, dataFolder: workspace.data) == first)
        #expect(first.compiler.hasPrefix("Swift version ") && first.id.count == 32)

        // Same size and same modification time: still noticed.
        let file = "\(sdk.modulesFolder)/Downloads.swiftmodule"
        var bytes = try FileSystem.read(file)
        var information = stat()
        stat(file, &information)
        bytes[bytes.count - 1] ^= 1
        try FileSystem.write(bytes, to: file)
        utimensat(AT_FDCWD, file, [information.st_atim, information.st_mtim], 0)
        #expect(try BuildIdentity.of(sdk, dataFolder: workspace.data).id != first.id)
    }

    @Test func aFolderWithoutAnSDKSaysWhatIsMissing() throws {
        let workspace = try workspace.get()
        let error = #expect(throws: LoaderError.self) { try FunctionSDK(at: workspace.root) }
        #expect(error?.code == .sdk && error?.message.contains("FunctionKit.swiftmodule is missing") == true)
    }
}

/// Keeps the events of a stream.
private final class TakenEvents: EventStream.Sink {
    let events = Shared<[ServerSentEvent]>([])

    func open() async throws {}

    func send(_ events: [ServerSentEvent]) async throws { self.events.update { $0 += events } }
}

/// A client that is never upgraded.
private final class NoUpgrade: WebSocketUpgrade.Connection {
    func accept(protocol: String?) async throws -> WebSocket { throw CancellationError() }
}
