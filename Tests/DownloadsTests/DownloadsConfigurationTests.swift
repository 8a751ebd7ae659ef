import FunctionKit
import Testing

@testable import Downloads

@Suite struct DownloadsConfigurationTests {
    @Test func keysAreMadeFromTheTemplates() {
        var settings = DownloadsConfiguration()
        var job = JobRecordTests.queued()
        job.claim = 3
        #expect(settings.sourceKey(for: 70_000) == "downloads/70000.zip")
        #expect(settings.archiveKey(of: job) == "archives/6f9619ff-8b86-4d01-b42d-00cf4fc964ff/1-3.zip")
        settings.sourceKey = "{file_id}/a/{file_id}"
        settings.archivePrefix = "out/of/here/"
        #expect(settings.sourceKey(for: 70_000) == "70000/a/70000")
        #expect(settings.archiveKey(of: job) == "out/of/here/6f9619ff-8b86-4d01-b42d-00cf4fc964ff/1-3.zip")
    }

    @Test func theBuildersBoundsFollow() {
        var settings = DownloadsConfiguration()
        settings.partBytes = 100 << 20
        settings.fetchAhead = 2
        settings.fetchAheadBytes = 2_000_000
        settings.fileTimeout = .seconds(5)
        settings.progressInterval = .milliseconds(100)
        let policy = settings.archivePolicy
        #expect(policy.partSizeBytes == 100 << 20)
        #expect(policy.maximumPartSizeBytes == 100 << 20)
        #expect(policy.fetchAheadCount == 2)
        #expect(policy.fetchAheadBytes == 2_000_000)
        #expect(policy.fileTimeout == .seconds(5))
        #expect(policy.progressInterval == .milliseconds(100))
        #expect(DownloadsConfiguration().archivePolicy.maximumPartSizeBytes == 64 << 20)
    }
}
