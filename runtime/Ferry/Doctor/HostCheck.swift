import Glibc
import Host

/// What `ferry doctor` looks at on this machine.
enum HostCheck {
    /// The compiler against the SDK, and the libraries.
    static func toolchain(_ dataFolder: String) async -> [Finding] {
        let toolchain: Toolchain
        do {
            toolchain = try await Toolchain.inspect(dataFolder: dataFolder)
        } catch {
            return [
                .failed("compiler", "\(error)", mend: "build Ferry with \"make build\", or name its SDK in FERRY_SDK")
            ]
        }
        let libraries = toolchain.libraries.map { library in
            Finding.ok(
                "library", [library.name, library.version, library.file].compactMap(\.self).joined(separator: " "))
        }
        return [compiler(toolchain)] + libraries
    }

    private static func compiler(_ toolchain: Toolchain) -> Finding {
        guard let path = toolchain.compiler else {
            return .warning(
                "compiler", "no swiftc in PATH; functions that are built are served, others are not",
                mend: "install the toolchain of \(toolchain.sdkVersion): https://www.swift.org/install/linux/")
        }
        guard let version = toolchain.compilerVersion else {
            return .failed("compiler", "\(path) does not tell its version", mend: "install the toolchain again")
        }
        guard version.hasPrefix(toolchain.sdkVersion) || toolchain.sdkVersion.hasPrefix(version) else {
            return .failed(
                "compiler", "\(path) is \(version), but the SDK \(toolchain.sdk) is of \(toolchain.sdkVersion)",
                mend: "use the toolchain that built Ferry, or build Ferry with this one")
        }
        return .ok("compiler", "\(version), \(path)")
    }

    /// What `ferry validate` checks of the functions.
    static func functions(_ folder: String) async -> [Finding] {
        do {
            let check = try await FunctionCheck.run(folder: folder)
            if let first = check.problems.first {
                return [
                    .failed(
                        "functions", "\(check.problems.count) problems, the first: \(first.problem)",
                        mend: "ferry validate --functions \(folder) tells all")
                ]
            }
            guard check.count > 0 else {
                return [.warning("functions", "none in \(folder)", mend: "ferry new hello --http \"GET /hello/:name\"")]
            }
            return [.ok("functions", "\(check.count) in \(folder), no problems")]
        } catch {
            return [.failed("functions", "\(error)", mend: "name the folder with --functions")]
        }
    }

    /// Each connection is an open file; a host raises its soft limit to the hard one.
    static func openFiles(_ configuration: Configuration) -> Finding {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return .failed(
                "open files", "the limit cannot be read: \(String(cString: strerror(errno)))", mend: "see ulimit -n")
        }
        let needed = configuration.http.maxConnectionCount + 512
        guard limit.rlim_max >= rlim_t(needed) else {
            return .warning(
                "open files", "at most \(limit.rlim_max), fewer than http.maxConnections and 512 others: \(needed)",
                mend: "raise the hard limit (LimitNOFILE= in systemd's unit), or lower http.maxConnections")
        }
        return .ok("open files", "at most \(limit.rlim_max)")
    }

    /// What a difference of clocks means: signatures are refused from 15 min on, and times of delayed jobs are off.
    static func clock(_ peer: String, skew: Duration, precision: Duration) -> Finding {
        let distance = max(.zero, (skew < .zero ? .zero - skew : skew) - precision)
        let text = "\(peer) is \(abs(Int(skew / .milliseconds(1)))) ms \(skew < .zero ? "behind" : "ahead")"
        let mend = "synchronise the clocks (NTP) of this machine and of \(peer)"
        if distance > .seconds(300) { return .failed("clock", text, mend: mend) }
        return distance > .seconds(2) ? .warning("clock", text, mend: mend) : .ok("clock", text)
    }
}
