extension Configuration {
    /// What `--record` keeps.
    public struct Record: Sendable {
        /// How much is kept.
        public var limits = InvocationRecorder.Limits()
        /// Words in names that are secrets, besides ``Redaction/words``.
        public var redact: [String] = []
    }
}
