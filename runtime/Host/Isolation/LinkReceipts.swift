internal import Glibc
internal import Synchronization

/// How many calls a process has taken up on each of its links, in memory that both ends share.
///
/// A process that crashes cannot say any more which calls it had begun: whatever it would write may never leave it. Its
/// count is there all the same, exact, and costs no system call. Calls beyond it were never begun and may be given to
/// another process without being made twice.
final class LinkReceipts: @unchecked Sendable {
    // @unchecked: the pointer is constant and its memory is only touched by atomic operations.

    /// A cache line for each link, so that their loops do not slow each other down.
    private static let stride = 64

    /// The memory's file.
    let descriptor: CInt
    private let memory: UnsafeMutableRawPointer
    private let byteCount: Int

    private typealias MakeMemory = @convention(c) (UnsafePointer<CChar>, CUnsignedInt) -> CInt

    /// glibc 2.27; Swift's Glibc module does not show it.
    private static let makeMemory: MakeMemory? = dlsym(nil, "memfd_create").map {
        unsafeBitCast($0, to: MakeMemory.self)
    }

    /// Makes the memory, all zero.
    ///
    /// - Throws: ``LoaderError`` with code `.system`.
    convenience init(linkCount: Int) throws(LoaderError) {
        let closeOnExec: CUnsignedInt = 1
        guard let descriptor = Self.makeMemory?("ferry-receipts", closeOnExec), descriptor >= 0 else {
            throw FileSystem.failure("make", "shared memory")
        }
        guard ftruncate(descriptor, off_t(linkCount * Self.stride)) == 0 else {
            defer { Glibc.close(descriptor) }
            throw FileSystem.failure("size", "shared memory")
        }
        try self.init(descriptor: descriptor, linkCount: linkCount)
    }

    /// Maps memory that the other end has made, and takes its descriptor over.
    ///
    /// - Throws: ``LoaderError`` with code `.system`.
    init(descriptor: CInt, linkCount: Int) throws(LoaderError) {
        byteCount = linkCount * Self.stride
        self.descriptor = descriptor
        guard let memory = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
            memory != UnsafeMutableRawPointer(bitPattern: -1)
        else {
            let failure = FileSystem.failure("map", "shared memory")
            Glibc.close(descriptor)
            throw failure
        }
        self.memory = memory
    }

    deinit {
        munmap(memory, byteCount)
        Glibc.close(descriptor)
    }

    /// Counts a call that is about to begin.
    func take(_ link: Int) { slot(link).pointee.add(1, ordering: .releasing) }

    /// How many calls were begun.
    func taken(_ link: Int) -> UInt64 { slot(link).pointee.load(ordering: .acquiring) }

    private func slot(_ link: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        precondition(link >= 0 && (link + 1) * Self.stride <= byteCount)
        // An atomic number is laid out as the number, and all bits zero are the number 0.
        return (memory + link * Self.stride).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
}
