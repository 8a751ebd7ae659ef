import NIOCore
import Testing

@testable import ferry

private func job(_ status: String, error: String = "null") -> String {
    """
    {"jobId":"j","status":"\(status)","progress":{"current":1,"total":2,"percentage":50.5,"bytes":9,"totalBytes":null,\
    "estimatedTimeRemaining":3},"filesProcessed":[{"file_id":70000,"status":"completed","size":9}],"attempt":1,\
    "maxAttempts":3,"error":\(error),"errorCode":null,"seq":4294967299,"createdAt":"a","updatedAt":"b","expiresAt":null}
    """
}

private func message(_ type: String, _ data: String, seq: Int64 = 5) -> String {
    "{\"type\":\"\(type)\",\"data\":\(data),\"seq\":\(seq),\"timestamp\":\"t\"}"
}

@Suite struct WatchMessageTests {
    @Test(
        arguments: [
            ("status", job("queued"), nil), ("status", job("processing"), nil), ("status", job("ready"), nil),
            ("status", job("failed"), nil), ("status", job("cancelled"), .cancelled),
            ("status", job("expired"), .expired),
            ("complete", job("ready"), .ready),
            ("progress", "{\"progress\":{\"current\":1,\"total\":2,\"percentage\":50,\"bytes\":9},\"files\":[]}", nil),
            ("error", "{\"code\":\"c\",\"message\":\"m\",\"final\":false}", nil),
            ("error", "{\"code\":\"c\",\"message\":\"m\",\"final\":true}", .failed("m")), ("novelty", "7", nil),
        ] as [(String, String, WatchOutcome?)])
    func `a message tells how the job ended, or not`(type: String, data: String, outcome: WatchOutcome?) throws {
        let message = try WatchMessage(message(type, data))
        #expect(message.outcome == outcome)
        #expect(message.seq == 5)
    }

    @Test(arguments: ["", "{}", "[1]", "{\"type\":\"status\",\"data\":{},\"seq\":1}", "{\"type\":\"complete\"}"])
    func `what is no message is refused`(text: String) {
        #expect(throws: CommandFailure.self) { try WatchMessage(text) }
    }

    @Test(arguments: [
        ("processing", "null", "status"), ("ready", "null", "complete"), ("failed", "\"gone\"", "error"),
        ("cancelled", "null", "status"),
    ])
    func `an answer to a poll is told as a message, which reads back the same`(
        status: String, error: String, type: String
    ) throws {
        let polled = try WatchMessage(job: ByteBuffer(string: job(status, error: error)))
        #expect(polled.line.hasPrefix("{\"type\":\"\(type)\""))
        let read = try WatchMessage(polled.line)
        #expect(read.seq == 4_294_967_299 && read.seq == polled.seq)
        #expect(read.outcome == polled.outcome)
    }
}
