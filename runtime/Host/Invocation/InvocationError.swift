public import FunctionKit

/// Why an invocation gave no result.
public enum InvocationError: Error, ClassifiedError {
    /// As many invocations run and wait as the manifest allows; none was started.
    case saturated
    /// The time ended. The handler's task was cancelled and keeps its slot until it returns.
    case timedOut
    /// The caller was cancelled. The handler's task was cancelled and keeps its slot until it returns.
    case cancelled
    /// The handler threw.
    case handler(any Error)

    /// The class under which the failure is counted.
    public var errorClass: ErrorClass {
        switch self {
        case .saturated, .cancelled: .unknown
        case .timedOut: .timeout
        case .handler(let error): ErrorClass(of: error)
        }
    }

    /// Whether it may work later.
    public var isUnavailable: Bool {
        switch self {
        case .saturated: true
        case .timedOut, .cancelled: false
        case .handler(let error): (error as? any ClassifiedError)?.isUnavailable ?? false
        }
    }

    /// What happened; of a handler's error only its own description.
    public var description: String {
        switch self {
        case .saturated: "The function is saturated."
        case .timedOut: "The function ran past its timeout."
        case .cancelled: "The invocation was cancelled."
        case .handler(let error): "\(error)"
        }
    }
}
