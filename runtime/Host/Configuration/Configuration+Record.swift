extension Configuration {
    /// What `--record` keeps.
    public struct Record: Sendable {
        /// How much is kept.
        public var limits = InvocationRecorder.Limits()
        /// Words in names that are secrets, besides ``Redaction/words``.
        public var redact: [String] = []
    }

    mutating func applyRecord(_ root: StrictReader.Object, with reader: inout StrictReader) {
        guard let section = reader.object(root, "record", keys: ["redact", "maxFiles", "maxSize", "maxFileSize"]) else {
            return
        }
        let words = reader.value(section, "redact", "an array of texts with a letter or a digit in each") { json in
            let words = json.elements?.map { $0.string ?? "" }
            return words?.allSatisfy { $0.contains { $0.isLetter || $0.isNumber } } == true ? words : nil
        }
        set(&record.redact, words)
        set(&record.limits.fileCount, reader.integer(section, "maxFiles", in: 1...100_000))
        set(&record.limits.totalBytes, reader.byteCount(section, "maxSize", in: 1 << 10...64 << 30))
        set(&record.limits.fileBytes, reader.byteCount(section, "maxFileSize", in: 1 << 10...16 << 20))
    }
}
