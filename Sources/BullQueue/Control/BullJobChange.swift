/// What became of one of several jobs that were to be changed.
public struct BullJobChange: Sendable, Hashable {
    /// What became of a job.
    public enum Result: Sendable, Hashable {
        /// It was changed as asked.
        case done
        /// There is no such job.
        case missing
        /// It is in another state; it was left alone.
        case wrongState
        /// A worker holds it or one of its children; it was left alone.
        case held
        /// Its scheduler has planned it as the next; it was left alone.
        case planned

        init(code: Int64?) {
            self =
                switch code {
                case 1: .done
                case 0: .held
                case -3: .wrongState
                case -8: .planned
                default: .missing
                }
        }
    }

    /// The job's id.
    public let id: String
    /// What became of it.
    public let result: Result
}
