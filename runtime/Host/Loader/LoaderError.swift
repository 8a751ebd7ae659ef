public import FunctionKit

/// Why functions cannot be found, built or loaded at all; what is wrong with one of them is a ``FunctionProblem``.
public struct LoaderError: Error, ClassifiedError, Hashable {
    /// What went wrong.
    public struct Code: Sendable, Hashable {
        private enum Kind {
            case functionsFolder
            case unknownFunction
            case newFunction
            case sdk
            case dataFolder
            case compiler
            case system
        }
        private let kind: Kind

        /// The folder of functions cannot be read.
        public static let functionsFolder = Code(kind: .functionsFolder)
        /// A function was asked for that does not exist.
        public static let unknownFunction = Code(kind: .unknownFunction)
        /// A new function's name or trigger is wrong, or taken.
        public static let newFunction = Code(kind: .newFunction)
        /// The SDK that functions are compiled against is not where it should be, or not whole.
        public static let sdk = Code(kind: .sdk)
        /// The data folder cannot be written.
        public static let dataFolder = Code(kind: .dataFolder)
        /// The Swift compiler is missing or is not the one that built this host.
        public static let compiler = Code(kind: .compiler)
        /// A system call failed.
        public static let system = Code(kind: .system)
    }

    /// What went wrong.
    public let code: Code
    /// What went wrong, and what mends it.
    public let message: String

    /// Makes an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// Unknown: nothing that happens here is a job's failure.
    public var errorClass: ErrorClass { .unknown }
    /// The message.
    public var description: String { message }
}
