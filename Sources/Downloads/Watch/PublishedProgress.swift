internal import FunctionKit
internal import NIOCore

/// The text of a `progress` message, taken apart as far as merging needs it.
struct PublishedProgress {
    struct File {
        let id: Int64
        let json: ByteBuffer
    }

    /// Up to and with the bracket that opens the files.
    let beforeFiles: ByteBuffer
    let files: [File]
    /// From the bracket that closes the files.
    let afterFiles: ByteBuffer

    /// - Returns: `nil` when the text is not of the published form.
    init?(_ json: ByteBuffer) {
        guard let (start, places) = json.withUnsafeReadableBytes(Self.places) else { return nil }
        let origin = json.readerIndex
        func slice(_ range: Range<Int>) -> ByteBuffer? {
            json.getSlice(at: origin + range.lowerBound, length: range.count)
        }
        var files: [File] = []
        files.reserveCapacity(places.count)
        for place in places {
            guard let json = slice(place.range) else { return nil }
            files.append(File(id: place.id, json: json))
        }
        let end = places.last?.range.upperBound ?? start
        guard let before = slice(0..<start), let after = slice(end..<json.readableBytes) else { return nil }
        beforeFiles = before
        self.files = files
        afterFiles = after
    }

    private typealias Place = (id: Int64, range: Range<Int>)

    /// Where the files begin, and where each of them is.
    private static func places(_ bytes: UnsafeRawBufferPointer) -> (start: Int, files: [Place])? {
        guard let form = PublishedForm(bytes), form.kind == .progress else { return nil }
        // The progress has neither braces nor strings as values.
        guard PublishedForm.has(#"{"progress":{"#, bytes, at: form.data.lowerBound),
            let close = bytes[form.data].firstIndex(of: UInt8(ascii: "}")),
            PublishedForm.has(#"},"files":["#, bytes, at: close)
        else { return nil }
        let start = close + 11
        let end = form.data.upperBound - 2
        guard end >= start, PublishedForm.has("]}", bytes, at: end) else { return nil }
        var files: [Place] = []
        var place = start
        while place < end {
            guard let id = id(bytes, at: place), let close = endOfObject(bytes, place..<end) else { return nil }
            files.append((id, place..<close))
            place = close
            guard place < end else { break }
            guard bytes[place] == UInt8(ascii: ",") else { return nil }
            place += 1
        }
        return (start, files)
    }

    private static func id(_ bytes: UnsafeRawBufferPointer, at place: Int) -> Int64? {
        guard PublishedForm.has(#"{"file_id":"#, bytes, at: place) else { return nil }
        var id: Int64 = 0
        let digits = bytes[(place + 11)...].prefix(18).prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        for digit in digits { id = id * 10 + Int64(digit - UInt8(ascii: "0")) }
        return digits.isEmpty ? nil : id
    }

    /// The place after a flat object; its strings may hold anything.
    private static func endOfObject(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int? {
        var isString = false
        var isEscaped = false
        for place in range {
            let byte = bytes[place]
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\"") {
                isString.toggle()
            } else if isString {
                isEscaped = byte == UInt8(ascii: "\\")
            } else if byte == UInt8(ascii: "}") {
                return place + 1
            }
        }
        return nil
    }
}
