/// Gives the members of one archive names that are safe to extract and differ from each other.
///
/// A name is cut at `/` and `\`; empty parts, `.`, `..` and a drive letter are dropped; characters that cannot stand
/// in a file's name on some system, control characters and those that change the writing direction become `_`; a
/// reserved device name gets one in front. A part has at most 240 bytes. Names that differ only in case count as equal,
/// because they are one file on some systems: the second gets ` (2)` before its extension.
public struct ZipNames: Sendable {
    private var taken: Set<String>
    /// The number that the next name of that form gets: keeps a thousand equal names from being tried one by one.
    private var nextNumber: [String: Int] = [:]

    private static let componentBytes = 240
    private static let nameBytes = 4096

    /// Starts with names that no member gets.
    public init(reserved: [String] = []) {
        taken = Set(reserved.map { $0.lowercased() })
    }

    /// A safe name that none before had.
    public mutating func assign(_ raw: String) -> String {
        let name = ZipNames.sanitize(raw)
        let key = name.lowercased()
        if taken.insert(key).inserted { return name }
        let (stem, suffix) = ZipNames.split(name)
        var number = nextNumber[key] ?? 2
        while true {
            let candidate = "\(stem) (\(number))\(suffix)"
            number += 1
            if taken.insert(candidate.lowercased()).inserted {
                nextNumber[key] = number
                return candidate
            }
        }
    }

    /// A name that is safe to extract, never empty.
    public static func sanitize(_ raw: String) -> String {
        var components: [String] = []
        for part in raw.unicodeScalars.split(whereSeparator: { $0 == "/" || $0 == "\\" }) {
            var scalars = part
            if components.isEmpty, let first = scalars.first, first.isASCII, first.properties.isAlphabetic,
                scalars.dropFirst().first == ":"
            {
                scalars = scalars.dropFirst(2)
            }
            if let component = sanitizeComponent(scalars) { components.append(component) }
        }
        guard let last = components.last else { return "file" }
        let name = components.joined(separator: "/")
        return name.utf8.count <= nameBytes ? name : last
    }

    private static func sanitizeComponent(_ scalars: Substring.UnicodeScalarView) -> String? {
        var component = String.UnicodeScalarView()
        component.append(contentsOf: scalars.lazy.map { isUnsafe($0) ? "_" : $0 })
        // Windows drops trailing dots and spaces, which would make two names one; `.` and `..` end here too.
        while let last = component.last, last == "." || last == " " { component.removeLast() }
        component.trimPrefix { $0 == " " }
        guard !component.isEmpty else { return nil }
        let text = String(component)
        return shorten(isDevice(text) ? "_" + text : text)
    }

    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0: true
        case 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: "<>:\"|?*".unicodeScalars.contains(scalar)
        }
    }

    /// Whether Windows takes the name for a device, whatever its extension.
    private static func isDevice(_ component: String) -> Bool {
        let stem = component.prefix { $0 != "." }.uppercased()
        switch stem {
        case "CON", "PRN", "AUX", "NUL": return true
        default:
            guard stem.utf8.count == 4, let digit = stem.utf8.last else { return false }
            return (stem.hasPrefix("COM") || stem.hasPrefix("LPT")) && (0x31...0x39).contains(digit)
        }
    }

    /// Cuts the stem, so that the extension stays.
    private static func shorten(_ component: String) -> String {
        guard component.utf8.count > componentBytes else { return component }
        let (stem, suffix) = split(component)
        let keepsSuffix = suffix.utf8.count <= 20
        let budget = componentBytes - (keepsSuffix ? suffix.utf8.count : 0)
        var short = ""
        var bytes = 0
        for character in keepsSuffix ? stem : component {
            bytes += character.utf8.count
            guard bytes <= budget else { break }
            short.append(character)
        }
        return (short.isEmpty ? "file" : short) + (keepsSuffix ? suffix : "")
    }

    /// The name before its extension, and the extension with its dot, empty where there is none.
    private static func split(_ name: String) -> (stem: String, suffix: String) {
        let start = name.lastIndex(of: "/").map { name.index(after: $0) } ?? name.startIndex
        guard let dot = name[start...].lastIndex(of: "."), dot != start else { return (name, "") }
        return (String(name[..<dot]), String(name[dot...]))
    }
}
