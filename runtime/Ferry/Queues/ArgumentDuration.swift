import ArgumentParser

/// A duration as it is given on the command line: a whole number and a unit, `500ms`, `5s`, `10m`, `2h` or `7d`.
struct ArgumentDuration: ExpressibleByArgument {
    private static let units = ["ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]

    let duration: Duration

    init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int64(digits), number <= 1 << 40,
            let unit = ArgumentDuration.units[String(argument[digits.endIndex...])]
        else { return nil }
        duration = .milliseconds(number * Int64(unit))
    }

    var milliseconds: Int64 { Int64(duration / .milliseconds(1)) }
}
