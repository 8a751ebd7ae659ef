internal import FunctionKit
internal import ZipArchive

extension ArchivePlan.File {
    /// The file as a member of the archive.
    func member(_ info: ObjectInfo, at fallback: Timestamp) -> ZipMember {
        ZipMember(
            name: name, sizeBytes: info.sizeBytes, crc32: info.crc32,
            modifiedAt: DOSDateTime(info.modifiedAt ?? fallback))
    }

    /// The result when the archive holds it.
    func result(_ position: Int, sizeBytes: Int64, crc32: UInt32) -> ArchivedFile {
        ArchivedFile(
            fileID: source.fileID, position: position, key: source.key, name: name, status: .completed,
            sizeBytes: sizeBytes, crc32: crc32, error: nil, errorClass: nil)
    }

    /// The result when it was left out.
    func result(
        _ position: Int, sizeBytes: Int64? = nil, error: String, class errorClass: ErrorClass
    ) -> ArchivedFile {
        ArchivedFile(
            fileID: source.fileID, position: position, key: source.key, name: name, status: .failed,
            sizeBytes: sizeBytes, crc32: nil, error: error, errorClass: errorClass)
    }
}

extension DOSDateTime {
    /// The time in UTC.
    init(_ time: Timestamp) {
        let civil = CivilTime(time)
        self.init(
            year: civil.year, month: civil.month, day: civil.day, hour: civil.hour, minute: civil.minute,
            second: civil.second)
    }
}
