import FunctionKit
import Logging
import Testing

@testable import Downloads

@Suite struct OwnershipTests {
    private static func context(_ user: User?) -> Context {
        Context(
            logger: Logger(label: "test"), function: "f", requestID: "r", deadline: .now + .seconds(60), user: user,
            bindings: Bindings())
    }

    @Test("a job is its owner's, and admins may access all")
    func access() {
        let (alice, admin) = (User(id: "alice"), User(id: "carol", isAdmin: true))
        let table: [(User?, String?, Bool)] = [
            (nil, nil, true), (nil, "alice", false), (alice, nil, false), (alice, "alice", true),
            (alice, "Alice", false), (alice, "bob", false), (admin, nil, true), (admin, "alice", true),
            (.local, nil, true), (.local, "alice", true),
        ]
        for (user, owner, isAllowed) in table {
            #expect(Self.context(user).mayAccess(owner: owner) == isAllowed, "\(user?.id ?? "-") \(owner ?? "-")")
        }
    }

    @Test("jobs belong to who sends them; the local user owns nothing")
    func owner() {
        #expect(Self.context(User(id: "alice")).owner == "alice")
        #expect(Self.context(User(id: "carol", isAdmin: true)).owner == "carol")
        #expect(Self.context(.local).owner == nil)
        #expect(Self.context(nil).owner == nil)
    }
}
