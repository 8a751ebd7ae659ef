import FunctionKit
import Testing

@testable import ferry

@Suite struct DoctorTests {
    @Test(
        arguments: [
            ("Sat, 31 Jan 2026 12:00:00 GMT", "2026-01-31T12:00:00.000Z"), ("Sat, 31 Jan 2026 12:00:00 UTC", nil),
            ("Sat, 31 Foo 2026 12:00:00 GMT", nil), ("31 Jan 2026", nil), ("", nil),
        ] as [(String, String?)])
    func `dates of HTTP are read`(text: String, time: String?) {
        #expect(StorageCheck.time(text)?.rfc3339 == time)
    }

    @Test(
        arguments: [
            (0, 0, .ok), (2000, 0, .ok), (-2400, 500, .ok), (2600, 500, .warning), (-2001, 0, .warning),
            (300_001, 0, .failed), (-400_000, 1000, .failed),
        ] as [(Int, Int, Finding.Status)])
    func `clocks that differ are told`(skew: Int, precision: Int, status: Finding.Status) {
        let finding = HostCheck.clock("it", skew: .milliseconds(skew), precision: .milliseconds(precision))
        #expect(finding.status == status)
        #expect((finding.mend == nil) == (status == .ok))
    }

    @Test(
        arguments: [
            (-10, 100, .ok, "good for 100 days"), (-10, 13, .warning, "13 days"), (-10, -1, .failed, "expired"),
            (1, 100, .failed, "not valid yet"), (-10, 14, .ok, "14 days"),
        ] as [(Int, Int, Finding.Status, String)])
    func `a certificate's end is told in time`(from: Int, to: Int, status: Finding.Status, detail: String) {
        let finding = SecurityCheck.finding("c.pem", from: from * 86_400, to: to * 86_400, now: 0)
        #expect(finding.status == status && finding.detail.contains(detail))
    }
}
