internal import Glibc

/// A system call that failed, with the `errno` it left.
struct SystemError: Error, CustomStringConvertible {
    let call: String
    let path: String
    let number: Int32

    /// Takes `errno`; to be made right after the call.
    init(_ call: String, _ path: String) {
        self.number = errno
        self.call = call
        self.path = path
    }

    var description: String { "\(call) \(path): \(String(cString: strerror(number)))" }
}
