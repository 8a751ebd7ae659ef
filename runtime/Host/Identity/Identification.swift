internal import FunctionKit

/// What is known of who sends a request.
enum Identification: Sendable {
    /// This user, or nobody known.
    case known(User?)
    /// The request says who, and must not be believed.
    case refused(HTTPError)
    /// The keys have to be looked at again first.
    case unsettled
}
