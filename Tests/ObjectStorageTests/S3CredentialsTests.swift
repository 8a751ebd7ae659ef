import Foundation
import Testing

@testable import ObjectStorage

@Suite struct S3CredentialsTests {
    private func withFile<Value>(_ text: String, _ body: (String) throws -> Value) throws -> Value {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("credentials-\(UUID().uuidString)")
        try text.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        return try body(file.path)
    }

    static let file = """
        # comment
        [default]
        aws_access_key_id = FILE
        aws_secret_access_key=file+secret/=
        ; comment
        [ other ]
        AWS_ACCESS_KEY_ID = OTHER
        aws_secret_access_key = other-secret
        aws_session_token = token==
        [half]
        aws_access_key_id = HALF
        """

    @Test func explicitOnesWin() throws {
        let found = try S3Credentials.resolve(
            accessKeyID: "A", secretAccessKey: S3Secret("b"), environment: { ["AWS_ACCESS_KEY_ID": "E"][$0] })
        #expect(found == S3Credentials(accessKeyID: "A", secretAccessKey: S3Secret("b")))
        #expect(throws: S3Error.self) { try S3Credentials.resolve(accessKeyID: "A", environment: { _ in nil }) }
        #expect(throws: S3Error.self) {
            try S3Credentials.resolve(secretAccessKey: S3Secret("b"), environment: { _ in nil })
        }
    }

    @Test func thenTheEnvironment() throws {
        var environment = ["AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"]
        let found = try S3Credentials.resolve(environment: { environment[$0] })
        #expect(found == S3Credentials(accessKeyID: "E", secretAccessKey: S3Secret("s"), sessionToken: S3Secret("t")))
        environment["AWS_SECRET_ACCESS_KEY"] = ""
        #expect(throws: S3Error.self) { try S3Credentials.resolve(environment: { environment[$0] }) }
    }

    @Test func thenTheSharedFile() throws {
        try withFile(Self.file) { path throws in
            func resolve(_ profile: String?, _ environment: [String: String]) throws -> S3Credentials {
                try S3Credentials.resolve(
                    profile: profile, environment: { $0 == "AWS_SHARED_CREDENTIALS_FILE" ? path : environment[$0] })
            }
            #expect(
                try resolve(nil, [:]) == S3Credentials(accessKeyID: "FILE", secretAccessKey: S3Secret("file+secret/=")))
            let other = S3Credentials(
                accessKeyID: "OTHER", secretAccessKey: S3Secret("other-secret"), sessionToken: S3Secret("token=="))
            #expect(try resolve("other", ["AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "s"]) == other)
            #expect(try resolve(nil, ["AWS_PROFILE": "other"]) == other)
            for profile in ["half", "absent"] { #expect(throws: S3Error.self) { try resolve(profile, [:]) } }
        }
    }

    @Test func noneAreAnErrorThatSaysWhereItLooked() throws {
        let error = #expect(throws: S3Error.self) {
            try S3Credentials.resolve(environment: { $0 == "HOME" ? "/nonexistent" : nil })
        }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains("AWS_ACCESS_KEY_ID") == true)
        #expect(throws: S3Error.self) {
            try S3Credentials.resolve(environment: { $0 == "AWS_SHARED_CREDENTIALS_FILE" ? "/" : nil })
        }
    }
}
