// Archives members to a null sink until two seconds of CPU time have passed, and prints bytes and seconds as JSON. The
// members go the way of a job's large files: opened with an unknown checksum, streamed in chunks, closed.
//
// usage: zip-store MEMBERS MEMBER_BYTES            buffers in memory
//        zip-store MEMBERS MEMBER_BYTES FOLDER     files 0, 1, 2, … of that size in a folder, read anew each time

import Glibc
import NIOCore
import ZipArchive

let chunkBytes = 256 << 10

func cpuSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Archives one round of members; `stream` writes the bytes of the member with that index.
func archive(
    _ memberCount: Int, _ memberBytes: Int, stream: (Int, inout ZipPartAssembler) throws -> Void
) throws -> Int64 {
    var assembler = ZipPartAssembler(partSizeBytes: 8 << 20)
    var sunkBytes: Int64 = 0
    for index in 0..<memberCount {
        try assembler.beginMember(ZipMember(name: "member-\(index).bin", sizeBytes: Int64(memberBytes)))
        try stream(index, &assembler)
        _ = try assembler.endMember()
        while let part = assembler.takePart() { sunkBytes += Int64(part.sizeBytes) }
    }
    let summary = try assembler.finish()
    while let part = assembler.takePart() { sunkBytes += Int64(part.sizeBytes) }
    precondition(sunkBytes == summary.sizeBytes, "Every byte went to the sink.")
    return sunkBytes
}

func measure(_ round: () throws -> Int64) rethrows {
    _ = try round()
    var bytes: Int64 = 0
    let start = cpuSeconds()
    repeat { bytes += try round() } while cpuSeconds() - start < 2
    print("{\"bytes\": \(bytes), \"cpu_seconds\": \(cpuSeconds() - start)}")
}

let numbers = CommandLine.arguments.dropFirst().prefix(2).compactMap { Int($0) }
guard numbers.count == 2, numbers.allSatisfy({ $0 > 0 }) else {
    _ = "usage: zip-store MEMBERS MEMBER_BYTES [FOLDER]\n".withCString { write(STDERR_FILENO, $0, strlen($0)) }
    exit(2)
}
let (memberCount, memberBytes) = (numbers[0], numbers[1])

if CommandLine.arguments.count > 3 {
    let folder = CommandLine.arguments[3]
    try measure {
        try archive(memberCount, memberBytes) { index, assembler in
            let file = open("\(folder)/\(index)", O_RDONLY)
            defer { close(file) }
            while true {
                var chunk = ByteBuffer()
                let count = chunk.writeWithUnsafeMutableBytes(minimumWritableBytes: min(chunkBytes, memberBytes)) {
                    max(0, read(file, $0.baseAddress, min($0.count, chunkBytes)))
                }
                guard count > 0 else { return }
                try assembler.write(chunk)
            }
        }
    }
} else {
    var generator = SystemRandomNumberGenerator()
    let members = (0..<memberCount).map { _ in
        var contents = ByteBuffer()
        contents.reserveCapacity(memberBytes + 8)
        while contents.readableBytes < memberBytes { contents.writeInteger(generator.next()) }
        contents.moveWriterIndex(to: memberBytes)
        return contents
    }
    try measure {
        try archive(memberCount, memberBytes) { index, assembler in
            try assembler.write(members[index])
        }
    }
}
