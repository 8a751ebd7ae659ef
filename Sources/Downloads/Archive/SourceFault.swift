internal import FunctionKit

/// A file that could not be had, and what may be tried next.
struct SourceFault: Error {
    enum Recovery {
        /// The file is not there.
        case missing
        /// Nothing more can be done in this attempt.
        case none
        /// Go on where the bytes ended.
        case resume
        /// Begin the file again.
        case restart
    }

    let recovery: Recovery
    let error: ArchiveError

    static func missing(_ source: ArchiveSource) -> SourceFault {
        SourceFault(
            recovery: .missing,
            error: ArchiveError(.fileUnreadable, ArchivePlan.missingMessage, class: .validation))
    }

    static func unreadable(_ error: any Error, recovery: Recovery) -> SourceFault {
        let errorClass = ErrorClass(of: error)
        return SourceFault(
            recovery: errorClass == .validation ? .none : recovery,
            error: ArchiveError(
                .fileUnreadable, ArchivePlan.unreadableMessage(errorClass), class: errorClass, cause: error))
    }

    static var short: SourceFault {
        SourceFault(
            recovery: .resume,
            error: ArchiveError(.fileUnreadable, "The file ended before its announced size.", class: .storage))
    }

    static var damaged: SourceFault {
        SourceFault(
            recovery: .restart,
            error: ArchiveError(
                .fileDamaged, "The file does not have the size or checksum that the store tells.", class: .storage))
    }

    static var changed: SourceFault {
        SourceFault(
            recovery: .restart,
            error: ArchiveError(.fileChanged, "The file was replaced while it was read.", class: .storage))
    }

    static var tooSlow: SourceFault {
        SourceFault(
            recovery: .none, error: ArchiveError(.fileTooSlow, "The file came too slowly.", class: .timeout))
    }
}
