import Testing

@testable import Downloads

@Suite struct ProgressMeterTests {
    @Test func percentageIsOfBytesAndHasOneDecimal() {
        var meter = ProgressMeter(files: 3)
        #expect(meter.progress == Progress(total: 3))
        meter.update(completedFiles: 2, bytes: 1_048_576, totalBytes: 1_572_864, elapsed: .seconds(2))
        #expect(meter.progress.percentage == "66.7")
        #expect(meter.progress.current == 2)
        #expect(meter.progress.secondsRemaining == 1)
        meter.update(completedFiles: 3, bytes: 1_572_864, totalBytes: 1_572_864, elapsed: .seconds(3))
        #expect(meter.progress.percentage == "100")
        #expect(meter.progress.secondsRemaining == 0)
    }

    @Test func percentageIsOfFilesWhileBytesAreUnknown() {
        var meter = ProgressMeter(files: 3)
        meter.update(completedFiles: 1, bytes: 10, totalBytes: nil, elapsed: .seconds(2))
        #expect(meter.progress.percentage == "33.3")
        #expect(meter.progress.totalBytes == nil)
        #expect(meter.progress.secondsRemaining == 4)
        meter.update(completedFiles: 2, bytes: 10, totalBytes: 0, elapsed: .seconds(4))
        #expect(meter.progress.percentage == "66.7")
    }

    @Test func aHundredIsToldOnlyOfAll() {
        var meter = ProgressMeter(files: 1)
        meter.update(completedFiles: 0, bytes: 99_999, totalBytes: 100_000, elapsed: .seconds(1))
        #expect(meter.progress.percentage == "99.9")
        meter.update(completedFiles: 1, bytes: 100_000, totalBytes: 100_000, elapsed: .seconds(1))
        #expect(meter.progress.percentage == "100")
    }

    @Test func percentageNeverFalls() {
        var meter = ProgressMeter(files: 4)
        var last = 0
        let steps: [(Int, Int64, Int64?)] = [
            (1, 0, nil), (2, 0, nil), (2, 10, 1_000), (2, 400, 1_000), (2, 400, 4_000), (3, 900, 1_000),
            (3, 100, 1_000), (4, 1_000, 900),
        ]
        for (number, step) in steps.enumerated() {
            meter.update(
                completedFiles: step.0, bytes: step.1, totalBytes: step.2, elapsed: .seconds(number + 1))
            #expect(meter.progress.permille >= last)
            last = meter.progress.permille
        }
        #expect(last == 1_000)
    }

    @Test func nothingIsToldBeforeHalfASecondOrWithoutAnyWork() {
        var meter = ProgressMeter(files: 2)
        meter.update(completedFiles: 0, bytes: 500, totalBytes: 1_000, elapsed: .milliseconds(400))
        #expect(meter.progress.secondsRemaining == nil)
        meter = ProgressMeter(files: 2)
        meter.update(completedFiles: 0, bytes: 0, totalBytes: 1_000, elapsed: .seconds(30))
        #expect(meter.progress.secondsRemaining == nil)
    }

    @Test func aSteadyRateGivesTheExactTime() {
        var meter = ProgressMeter(files: 1)
        for second in 1...9 {
            meter.update(
                completedFiles: 0, bytes: Int64(second) * 100, totalBytes: 1_000, elapsed: .seconds(second))
            #expect(meter.progress.secondsRemaining == 10 - second)
        }
    }

    @Test func aStallMakesTheTimeGrowAndABurstDoesNotMakeItJump() throws {
        var meter = ProgressMeter(files: 1)
        for second in 1...5 {
            meter.update(
                completedFiles: 0, bytes: Int64(second) * 100, totalBytes: 10_000, elapsed: .seconds(second))
        }
        let steady = try #require(meter.progress.secondsRemaining)
        meter.update(completedFiles: 0, bytes: 500, totalBytes: 10_000, elapsed: .seconds(15))
        let stalled = try #require(meter.progress.secondsRemaining)
        #expect(stalled > steady * 2)
        var burst = ProgressMeter(files: 1)
        for second in 1...5 {
            burst.update(
                completedFiles: 0, bytes: Int64(second) * 100, totalBytes: 10_000, elapsed: .seconds(second))
        }
        burst.update(completedFiles: 0, bytes: 1_000, totalBytes: 10_000, elapsed: .milliseconds(5_250))
        #expect(try #require(burst.progress.secondsRemaining) > steady / 3)
    }

    @Test func aTimeBeyondAWeekIsNotTold() {
        var meter = ProgressMeter(files: 1)
        meter.update(completedFiles: 0, bytes: 1, totalBytes: 1 << 40, elapsed: .seconds(5))
        #expect(meter.progress.secondsRemaining == nil)
    }

    @Test func callsAtTheSameInstantDoNoHarm() {
        var meter = ProgressMeter(files: 1)
        meter.update(completedFiles: 0, bytes: 100, totalBytes: 1_000, elapsed: .seconds(1))
        meter.update(completedFiles: 0, bytes: 200, totalBytes: 1_000, elapsed: .seconds(1))
        #expect(meter.progress.secondsRemaining == 8)
    }
}
