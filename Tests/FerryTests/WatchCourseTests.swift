import Testing

@testable import ferry

private let start = ContinuousClock.now

private func course(_ transport: WatchTransport? = nil) -> WatchCourse {
    WatchCourse(transport: transport, patience: .seconds(60), now: start)
}

extension WatchCourse {
    fileprivate mutating func after(_ end: End, seconds: Int = 1) -> Step {
        next(after: end, at: start + .seconds(seconds), spread: 0)
    }
}

@Suite struct WatchCourseTests {
    @Test(arguments: [400, 403, 426, 502, 503, 200])
    func `an upgrade that is refused leads to a stream at once, and then to polling`(status: Int) {
        var course = course()
        let refused = WatchCourse.End.refused(status: status, message: nil, retryAfter: nil)
        #expect(course.after(refused) == .connect(.sse, after: .zero))
        #expect(course.after(refused) == .connect(.polling, after: .zero))
    }

    @Test(arguments: WatchTransport.allCases)
    func `a host that wants to know who calls ends it at once, with what to do`(transport: WatchTransport) throws {
        var course = course(transport)
        let step = course.after(.refused(status: 401, message: "The token has expired.", retryAfter: nil))
        guard case .fail(let reason) = step else { return #expect(step == .fail("")) }
        #expect(reason.hasPrefix("answered 401: The token has expired. ") && reason.contains("--token-file"))
    }

    @Test func `an upgrade that hangs leads to a stream`() {
        var course = course()
        #expect(course.after(.upgradeHung) == .connect(.sse, after: .zero))
    }

    @Test(arguments: WatchTransport.allCases)
    func `an unknown job ends it, whatever the transport`(transport: WatchTransport) {
        var course = course(transport)
        #expect(course.after(.notFound) == .fail("there is no such job"))
    }

    @Test func `the second death without a word leads on, the first is tried again`() {
        var course = course()
        #expect(course.after(.lost("")) == .connect(.websocket, after: .milliseconds(250)))
        #expect(course.after(.lost("")) == .connect(.sse, after: .zero))
        #expect(course.after(.lost("")) == .connect(.sse, after: .milliseconds(250)))
        #expect(course.after(.lost("")) == .connect(.polling, after: .zero))
    }

    @Test func `a socket that has spoken may die as often as it likes`() {
        var course = course()
        for _ in 0..<5 {
            course.heard(at: start)
            #expect(course.after(.lost("")) == .connect(.websocket, after: .milliseconds(250)))
        }
    }

    @Test(arguments: [1001, 1012] as [UInt16])
    func `a host that goes away is come back to at once, but not in a loop`(code: UInt16) {
        var course = course()
        course.heard(at: start)
        #expect(course.after(.closed(code: code)) == .connect(.websocket, after: .zero))
        #expect(course.after(.closed(code: code)) == .connect(.websocket, after: .milliseconds(250)))
        #expect(course.after(.closed(code: code)) == .connect(.websocket, after: .milliseconds(500)))
    }

    @Test func `a stream's end is answered after the host's own delay`() {
        var course = course(.sse)
        course.heard(at: start)
        course.noted(retry: .milliseconds(1700))
        #expect(course.after(.ended) == .connect(.sse, after: .milliseconds(1700)))
        course.noted(retry: .seconds(3600))
        course.heard(at: start)
        #expect(course.after(.ended) == .connect(.sse, after: .seconds(60)))
    }

    @Test func `the delay doubles up to its bound and is spread downwards only`() {
        var course = course(.websocket)
        course.heard(at: start)
        let delays = (0..<8).map { _ in course.after(.unreachable("refused")) }
        let expected: [Int] = [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]
        #expect(delays == expected.map { .connect(.websocket, after: .milliseconds($0)) })
        let spread = course.next(after: .unreachable(""), at: start, spread: 1)
        #expect(spread == .connect(.websocket, after: .seconds(5)))
        course.heard(at: start)
        #expect(course.after(.unreachable("")) == .connect(.websocket, after: .milliseconds(250)))
    }

    @Test func `what was all said is asked for`() {
        var course = course()
        course.heard(at: start)
        #expect(course.after(.over) == .ask(after: .zero))
        #expect(course.after(.over) == .ask(after: .milliseconds(250)))
    }

    @Test func `a host that was never there is an error at once, one that went away is waited for`() {
        var never = course()
        guard case .fail = never.after(.unreachable("refused")) else {
            Issue.record("expected a failure")
            return
        }
        var once = course()
        once.heard(at: start)
        #expect(once.after(.unreachable("refused"), seconds: 59) == .connect(.websocket, after: .milliseconds(250)))
        guard case .fail = once.after(.unreachable("refused"), seconds: 60) else {
            Issue.record("expected a failure")
            return
        }
    }

    @Test func `a fixed transport does not fall back: it fails or comes back`() {
        var course = course(.websocket)
        #expect(course.after(.upgradeHung) == .connect(.websocket, after: .milliseconds(250)))
        #expect(
            course.after(.refused(status: 503, message: nil, retryAfter: .seconds(7)))
                == .connect(.websocket, after: .seconds(7)))
        #expect(course.after(.refused(status: 400, message: "no", retryAfter: nil)) == .fail("answered 400: no"))
    }

    @Test func `only a newer message is accepted`() {
        var course = course()
        #expect([3, 3, 2, 4].map { course.accepts(seq: $0) } == [true, false, false, true])
        #expect(course.seq == 4)
    }
}
