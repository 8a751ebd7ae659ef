import Testing

@testable import Host

struct RouteExplanationTests {
    private let manifests: [String: FunctionManifest] = [
        "item": FunctionManifest(trigger: .http(method: "GET", path: "/shop/:id/price")),
        "sale": FunctionManifest(trigger: .http(method: "GET", path: "/shop/sale/:what")),
        "buy": FunctionManifest(trigger: .http(method: "POST", path: "/shop/:id/price")),
        "work": FunctionManifest(trigger: .queue(name: "shop", on: .process)),
    ]

    private func explain(_ method: String, _ path: String) throws -> RouteExplanation {
        try RouteExplanation(method: method, path: path, manifests: manifests)
    }

    @Test func `a literal beats a parameter, and the losers are told why`() throws {
        let explanation = try explain("GET", "/shop/sale/price?x=1")
        #expect(explanation.outcome == .function("sale", parameters: ["what": "price"]))
        #expect(explanation.candidates.map(\.owner) == ["sale", "buy", "item"])
        #expect(explanation.candidates.map(\.isChosen) == [true, false, false])
        #expect(explanation.candidates[1].verdict == "has another method, POST")
        #expect(explanation.candidates[2].verdict == #"segment 2: the literal "sale" beats the parameter :id"#)
    }

    @Test func `HEAD goes where GET goes, and parameters are decoded`() throws {
        let explanation = try explain("HEAD", "/shop/a%20b/price")
        #expect(explanation.outcome == .function("item", parameters: ["id": "a b"]))
    }

    @Test func `a wrong method names those allowed`() throws {
        #expect(
            try explain("DELETE", "/shop/1/price").outcome
                == .methodNotAllowed(allow: "GET, HEAD, OPTIONS, POST"))
        #expect(try explain("OPTIONS", "/shop/1/price").outcome == .options(allow: "GET, HEAD, OPTIONS, POST"))
    }

    @Test func `a path that is no route names the nearest`() throws {
        #expect(try explain("GET", "/shop/1/prise").outcome.nearest?.first == "GET /shop/:id/price")
        #expect(try explain("GET", "/nothing/like/it").outcome.nearest == [])
        #expect(try explain("GET", "/%zz").outcome == .malformed)
    }

    @Test func `the host's own paths are its own`() throws {
        #expect(try explain("GET", "/health").outcome == .host)
    }
}

extension RouteExplanation.Outcome {
    fileprivate var nearest: [String]? {
        if case .notFound(let nearest) = self { nearest } else { nil }
    }
}
