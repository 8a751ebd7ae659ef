import BullQueue
import Glibc
import Host

/// A job's data as it is given on the command line: JSON, `@file`, or `-` for standard input.
enum Payload {
    /// The most that is read; Redis itself takes up to 512 MiB.
    static let maximumBytes = 64 << 20

    /// The JSON text that an argument names.
    ///
    /// - Throws: ``CommandFailure`` when it cannot be read or is no JSON.
    static func read(_ argument: String) throws -> String {
        let text: String
        if argument == "-" {
            text = try contents(of: STDIN_FILENO, named: "standard input")
        } else if argument.hasPrefix("@") {
            let path = String(argument.dropFirst())
            text = try file(path)
        } else {
            text = argument
        }
        guard BullQueueControl.isJSON(text) else {
            throw CommandFailure(
                "the data is not JSON\(argument == "-" || argument.hasPrefix("@") ? " (\(argument))" : ""): "
                    + Terminal.plain(text, limit: 80))
        }
        return text
    }

    /// The text of a file.
    static func file(_ path: String) throws -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CommandFailure("\(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        return try contents(of: descriptor, named: path)
    }

    private static func contents(of descriptor: CInt, named name: String) throws -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw CommandFailure("\(name) cannot be read: \(String(cString: strerror(errno)))")
            }
            if count == 0 { break }
            bytes += chunk[..<count]
            guard bytes.count <= maximumBytes else {
                throw CommandFailure("\(name) holds more than \(maximumBytes >> 20) MiB")
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("\(name) is not UTF-8")
        }
        return text
    }
}
