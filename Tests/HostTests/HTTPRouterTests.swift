import Testing

@testable import Host

struct HTTPRouterTests {
    private func router(_ routes: [String]) throws -> Router<String> {
        try Router(
            routes.map { route in
                let parts = route.split(separator: " ")
                return Router<String>.Route(
                    method: String(parts[0]), path: String(parts[1]), owner: route, endpoint: route)
            })
    }

    private func describe(_ match: Router<String>.Match) -> String {
        switch match {
        case .found(let route, let parameters):
            parameters.isEmpty
                ? route
                : route + " " + parameters.sorted { $0.key < $1.key }.map { "\($0)=\($1)" }.joined(separator: " ")
        case .notFound: "404"
        case .methodNotAllowed(let allow): "405 \(allow)"
        case .malformed: "400"
        }
    }

    @Test(arguments: [
        ("GET /", "GET /"),
        ("GET /a", "GET /a"),
        ("GET /a/", "404"),
        ("GET /a/b/", "GET /a/b/"),
        ("POST /a", "POST /a"),
        ("PUT /a", "405 GET, HEAD, OPTIONS, POST"),
        ("GET /a/b", "GET /a/b"),
        ("GET /a/c", "GET /a/:x x=c"),
        ("DELETE /a/b", "DELETE /a/:y y=b"),
        ("PATCH /a/b", "405 DELETE, GET, HEAD, OPTIONS"),
        ("GET /a//", "404"),
        ("GET /a/1/c", "GET /a/:x/c x=1"),
        ("GET /a/b/c", "GET /a/b/:z z=c"),
        ("GET /a/b/d", "GET /a/b/:z z=d"),
        ("GET /a/1/d", "404"),
        ("GET /p/1/q/2", "GET /p/:one/q/:two one=1 two=2"),
        ("GET /p/%31/q/a%2Fb%20%C3%A9", "GET /p/:one/q/:two one=1 two=a/b é"),
        ("GET /%61", "GET /a"),
        ("GET /%2561", "404"),
        ("GET /a%2Fb", "404"),
        ("GET /a/%", "400"), ("GET /a/%4", "400"), ("GET /a/%zz", "400"), ("GET /nowhere/%ff", "400"),
        ("GET /%4/1", "400"),
        ("GET *", "404"),
    ])
    func matches(request: String, expected: String) throws {
        let router = try router([
            "GET /", "GET /a", "POST /a", "GET /a/:x", "DELETE /a/:y", "GET /a/b", "GET /a/b/", "GET /a/:x/c",
            "GET /a/b/:z", "GET /p/:one/q/:two",
        ])
        let parts = request.split(separator: " ")
        #expect(describe(router.match(method: String(parts[0]), path: String(parts[1]))) == expected)
    }

    @Test func refusesEqualRoutesNamingBoth() throws {
        let error = try #require(throws: RouteConflict.self) { try router(["GET /a/:x", "POST /a/:x", "GET /a/:y"]) }
        #expect(error.description == "The route GET /a/:y of GET /a/:y is the same as GET /a/:x of GET /a/:x.")
    }

    @Test func splitsDeepPathsWithoutHarm() throws {
        let router = try router(["GET /:a/:b", "GET /x/:b"])
        let path = String(repeating: "/x", count: 4000)
        #expect(describe(router.match(method: "GET", path: path)) == "404")
    }
}
