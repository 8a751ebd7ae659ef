/// Why a function is not served.
public struct FunctionProblem: Error, Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The function's name: its folder's.
    public let function: String
    /// What is wrong, and where.
    public let problem: FileProblem

    /// Makes a problem.
    public init(function: String, problem: FileProblem) {
        self.function = function
        self.problem = problem
    }

    /// `file:line:column: reason`.
    public var description: String { problem.description }

    /// Orders by function, then place.
    public static func < (left: FunctionProblem, right: FunctionProblem) -> Bool {
        left.function == right.function ? left.problem < right.problem : left.function < right.function
    }
}
