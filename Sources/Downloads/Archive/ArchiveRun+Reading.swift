internal import FunctionKit
internal import ZipArchive

extension ArchiveRun {
    /// Streams one file into the archive, with all its tries.
    ///
    /// - Throws: `SourceFault` when the file cannot be had, with its member discarded; anything else ends the attempt.
    func stream(
        _ file: ArchivePlan.File, _ found: ObjectInfo, in group: inout Group
    ) async throws -> (sizeBytes: Int64, crc32: UInt32) {
        var info = found
        var pace = ReadPace(policy, sizeBytes: info.sizeBytes)
        var failures = 0
        var furthestBytes: Int64 = 0
        while true {
            do {
                let crc32 = try await transfer(file, &info, &pace, in: &group)
                return (info.sizeBytes, crc32)
            } catch let fault as SourceFault {
                try Task.checkCancellation()
                // New bytes earn new tries. Only bytes beyond the furthest count, so that there is an end to it.
                if assembler.memberBytes >= furthestBytes + 1 << 20 { failures = 0 }
                furthestBytes = max(furthestBytes, assembler.memberBytes)
                failures += 1
                let isFinal = failures >= policy.tries || fault.recovery == .none || fault.recovery == .missing
                // Without an entity tag nothing tells whether the rest would be the same file's.
                if isFinal || fault.recovery == .restart || info.etag == nil { try await discard(in: &group) }
                if isFinal { throw fault }
                try await Task.sleep(for: policy.backoff(afterFailures: failures))
            }
        }
    }

    /// One try: opens the file where the open member ended, or begins the member, and reads to the file's end.
    private func transfer(
        _ file: ArchivePlan.File, _ info: inout ObjectInfo, _ pace: inout ReadPace, in group: inout Group
    ) async throws -> UInt32 {
        let offset = assembler.memberBytes
        if !assembler.hasOpenMember || offset < info.sizeBytes {
            let started = ContinuousClock.now
            let body: ObjectBody?
            do {
                body = try await store.read(file.source.key, range: offset > 0 ? offset..<info.sizeBytes : nil)
            } catch {
                // The store has tried again as often as it should.
                throw SourceFault.unreadable(error, recovery: .none)
            }
            guard let body else { throw SourceFault.missing(file.source) }
            try pace.waited(since: started)
            let isSame = body.info.isSameObject(as: info)
            if !isSame || info.crc32 == nil { info = body.info }
            if !isSame { pace.allow(sizeBytes: info.sizeBytes) }
            if !assembler.hasOpenMember {
                try assembler.beginMember(file.member(info, at: request.at))
            } else if !isSame {
                throw SourceFault.changed
            }
            try await consume(body.chunks, &pace, in: &group)
        }
        do {
            let crc32 = try assembler.endMember()
            try await send(in: &group)
            return crc32
        } catch let error as ZipError where error.code == .memberTooShort {
            throw SourceFault.short
        } catch let error as ZipError where error.code == .checksumMismatch {
            throw SourceFault.damaged
        }
    }

    private func consume(
        _ chunks: some AsyncSequence<ByteBuffer, any Error>, _ pace: inout ReadPace, in group: inout Group
    ) async throws {
        var iterator = chunks.makeAsyncIterator()
        try await drain(&iterator, &pace, in: &group)
    }

    /// Reads to the end. (A function of its own: with the iterator made in it, Swift 6.3.1 crashes on it.)
    private func drain(
        _ iterator: inout some AsyncIteratorProtocol<ByteBuffer, any Error>, _ pace: inout ReadPace,
        in group: inout Group
    ) async throws {
        while let chunk = try await Self.next(&iterator, &pace) {
            try write(chunk)
            try await send(in: &group)
            try await report(assembler.memberBytes)
        }
    }

    private func write(_ chunk: ByteBuffer) throws {
        do {
            try assembler.write(chunk)
        } catch  where error.code == .memberTooLong {
            throw SourceFault.damaged
        }
    }

    /// The next chunk, with the wait for it counted.
    private static func next<Iterator: AsyncIteratorProtocol<ByteBuffer, any Error>>(
        _ iterator: inout Iterator, _ pace: inout ReadPace
    ) async throws(SourceFault) -> ByteBuffer? {
        let started = ContinuousClock.now
        let chunk: ByteBuffer?
        do {
            chunk = try await iterator.next(isolation: #isolation)
        } catch {
            throw SourceFault.unreadable(error, recovery: .resume)
        }
        try pace.waited(since: started)
        return chunk
    }

    private func discard(in group: inout Group) async throws {
        guard assembler.hasOpenMember else { return }
        let firstVoidPart = assembler.discardMember()
        try await forgetParts(from: firstVoidPart, in: &group)
    }

    /// Fetches a small file whole, in one try.
    ///
    /// - Returns: Its bytes, or `nil` when anything was not as expected: at its turn the file is then read with all its
    ///   tries, which also gives the error.
    static func fetch(
        _ key: String, _ info: ObjectInfo, from store: any ObjectStore, pace: ReadPace
    ) async -> ByteBuffer? {
        do {
            let started = ContinuousClock.now
            guard let body = try await store.read(key, range: nil), body.info.isSameObject(as: info) else { return nil }
            return try await collect(body.chunks, sizeBytes: Int(info.sizeBytes), pace: pace, started: started)
        } catch {
            return nil
        }
    }

    private static func collect(
        _ chunks: some AsyncSequence<ByteBuffer, any Error>, sizeBytes: Int, pace: ReadPace,
        started: ContinuousClock.Instant
    ) async throws -> ByteBuffer? {
        var pace = pace
        var last = started
        var contents = ByteBuffer()
        contents.reserveCapacity(sizeBytes)
        for try await chunk in chunks {
            guard contents.readableBytes + chunk.readableBytes <= sizeBytes else { return nil }
            contents.writeImmutableBuffer(chunk)
            try pace.waited(since: last)
            last = .now
        }
        return contents.readableBytes == sizeBytes ? contents : nil
    }
}

/// How long a file may still be waited for.
struct ReadPace: Sendable {
    private let timeout: Duration
    private let bytesPerSecond: Int64
    private var limit: Duration
    private var waited: Duration = .zero

    init(_ policy: ArchivePolicy, sizeBytes: Int64) {
        timeout = policy.fileTimeout
        bytesPerSecond = max(1, policy.minimumBytesPerSecond)
        limit = .zero
        allow(sizeBytes: sizeBytes)
    }

    /// Sets the time that a file of this size may take.
    mutating func allow(sizeBytes: Int64) {
        limit = timeout + .seconds(Double(sizeBytes) / Double(bytesPerSecond))
    }

    /// Counts a wait that has just ended.
    mutating func waited(since start: ContinuousClock.Instant) throws(SourceFault) {
        waited += .now - start
        guard waited <= limit else { throw SourceFault.tooSlow }
    }
}

extension ObjectInfo {
    /// Whether the object was not replaced in between, as far as the store tells.
    fileprivate func isSameObject(as other: ObjectInfo) -> Bool {
        sizeBytes == other.sizeBytes && etag == other.etag && (etag != nil || modifiedAt == other.modifiedAt)
    }
}
