internal import FunctionKit

/// What the guards say of a request.
enum Admission: Sendable {
    case admitted(User?, RateCharge)
    case refused(HTTPError)
}
