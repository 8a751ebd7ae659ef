import FunctionKit
import Logging
import Synchronization
import Testing
import WebTokens

@testable import Host

@Suite("Identity")
struct IdentityTests {
    private static let box = try? TicketBox(Secret(String(repeating: "k", count: 32)))

    private static func head(_ fields: HTTPFields = [:], query: String = "") -> RequestHead {
        var head = RequestHead()
        (head.path, head.query, head.fields) = ("/x", query, fields)
        return head
    }

    private static func options(_ mode: IdentityOptions.Mode) -> IdentityOptions {
        var options = IdentityOptions()
        (options.mode, options.admins) = (mode, ["root"])
        return options
    }

    private static func user(_ found: Identification) -> User? {
        if case .known(let user) = found { user } else { nil }
    }

    private static func status(_ found: Identification) -> Int? {
        if case .refused(let error) = found { error.status.code } else { nil }
    }

    @Test("without identities everybody is the local user")
    func none() {
        let found = Authenticator.none.identify(Self.head(), isTrustedPeer: false, subjects: nil)
        #expect(Self.user(found) == .local)
    }

    @Test("a proxy's word counts only when it is trusted")
    func header() throws {
        let authenticator = Authenticator(Self.options(.header))
        let name = try #require(HTTPField.Name("x-user-id"))
        let alice = Self.head([name: "alice"])
        #expect(
            Self.user(authenticator.identify(alice, isTrustedPeer: true, subjects: nil)) == User(id: "alice"))
        #expect(
            Self.user(authenticator.identify(Self.head([name: "root"]), isTrustedPeer: true, subjects: nil))
                == User(id: "root", isAdmin: true))
        let stranger = authenticator.identify(alice, isTrustedPeer: false, subjects: nil)
        #expect(Self.user(stranger) == nil && Self.status(stranger) == nil)
        for bad in ["", "a b", "é", String(repeating: "a", count: 257)] {
            #expect(
                Self.status(authenticator.identify(Self.head([name: bad]), isTrustedPeer: true, subjects: nil)) == 400)
        }
        var two = HTTPFields()
        two.append(HTTPField(name: name, value: "alice"))
        two.append(HTTPField(name: name, value: "bob"))
        #expect(Self.status(authenticator.identify(Self.head(two), isTrustedPeer: true, subjects: nil)) == 400)
    }

    @Test("what a function asks for is 401 to nobody and 403 to a user who is no admin")
    func access() {
        let authenticator = Authenticator(Self.options(.jwt))
        let (alice, root) = (User(id: "alice"), User(id: "root", isAdmin: true))
        let table: [(User?, FunctionManifest.Access, Int?)] = [
            (nil, .anonymous, nil), (nil, .user, 401), (nil, .admin, 401), (alice, .anonymous, nil),
            (alice, .user, nil), (alice, .admin, 403), (root, .admin, nil), (root, .user, nil),
        ]
        for (user, access, status) in table {
            let problem = authenticator.problem(of: user, for: access)
            #expect(problem?.status.code == status)
            if status == 401 { #expect(problem?.headers[.wwwAuthenticate] == #"Bearer realm="ferry""#) }
        }
    }

    @Test("a ticket stands for its user, for its subject and for its time")
    func ticket() throws {
        let box = try #require(Self.box)
        let end = Timestamp(milliseconds: Timestamp.now.milliseconds + 60_000)
        let alice = User(id: "alice\u{e9}", isAdmin: true, expiresAt: end)
        let long = box.ticket(for: alice, subject: "ABC", lifetime: .seconds(600))
        #expect((58...60).contains(long.seconds), "it ends with the token")
        let ticket = box.ticket(for: alice, subject: "ABC", lifetime: .seconds(10))
        #expect(ticket.seconds == 10)
        #expect(box.user(of: ticket.text, subjects: ["x", "abc"], at: .now) == alice)
        #expect(box.user(of: ticket.text, subjects: ["abcd"], at: .now) == nil)
        #expect(box.user(of: ticket.text, subjects: ["abc"], at: .now + .seconds(10)) == nil)
        let bytes = Array(ticket.text.utf8)
        for index in bytes.indices where bytes[index] != UInt8(ascii: ".") {
            var other = bytes
            other[index] = other[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(box.user(of: String(decoding: other, as: UTF8.self), subjects: ["abc"], at: .now) == nil)
        }
        let stranger = try TicketBox(Secret(String(repeating: "x", count: 32)))
        #expect(stranger.user(of: ticket.text, subjects: ["abc"], at: .now) == nil)
        let local = box.ticket(for: .local, subject: "abc", lifetime: .seconds(600))
        #expect(box.user(of: local.text, subjects: ["abc"], at: .now) == nil)
        #expect(throws: LoaderError.self) { try TicketBox(Secret("short")) }
    }

    @Test("a ticket is accepted where its route is for one, and only there")
    func ticketInQuery() throws {
        let box = try #require(Self.box)
        let authenticator = Authenticator(Self.options(.jwt), tickets: box)
        let text = box.ticket(for: User(id: "alice"), subject: "j", lifetime: .seconds(60)).text
        let head = Self.head(query: "since=1&ticket=\(text)")
        #expect(
            Self.user(authenticator.identify(head, isTrustedPeer: false, subjects: ["j"])) == User(id: "alice"))
        #expect(Self.status(authenticator.identify(head, isTrustedPeer: false, subjects: ["k"])) == 401)
        let elsewhere = authenticator.identify(head, isTrustedPeer: false, subjects: nil)
        #expect(Self.user(elsewhere) == nil && Self.status(elsewhere) == nil)
    }

    @Test("keys are read at most once in a while, however many ask")
    func keySource() async throws {
        let count = Atomic(0)
        let source = KeySource(initial: nil, refresh: .seconds(60), pause: .seconds(3600), logger: LogRecorder().logger)
        {
            count.add(1, ordering: .relaxed)
            try await Task.sleep(for: .milliseconds(20))
            return TokenKeySet([])
        }
        #expect(source.current == nil)
        await withDiscardingTaskGroup { group in
            for _ in 0..<100 { group.addTask { await source.lookAgain() } }
        }
        await source.lookAgain()
        #expect(source.current?.count == 0)
        #expect(count.load(ordering: .relaxed) == 1)
    }

    @Test("keys that cannot be read again stay")
    func keySourceFails() async throws {
        let key = try await TokenKey(secret: String(repeating: "s", count: 32))
        let recorder = LogRecorder()
        let source = KeySource(
            initial: TokenKeySet([key]), refresh: .seconds(60), pause: .zero, logger: recorder.logger
        ) { throw CancellationError() }
        await source.lookAgain()
        #expect(source.current?.count == 1)
        #expect(recorder.lines("the keys of tokens cannot be read").count == 1)
    }
}
