internal import Glibc

/// Functions of the C library that Swift's Glibc module does not show, as it is built without `_GNU_SOURCE`. Looked up at
/// run time; `nil` where the library is too old to have one.
enum GNUFunctions {
    typealias CopyFileRange =
        @convention(c) (
            Int32, UnsafeMutablePointer<Int64>?, Int32, UnsafeMutablePointer<Int64>?, Int, UInt32
        ) -> Int
    typealias AddCloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32

    /// Linux 4.5, glibc 2.27: `copy_file_range(2)`.
    static let copyFileRange: CopyFileRange? = find("copy_file_range")
    /// glibc 2.34: the child closes all descriptors from one on.
    static let addCloseFrom: AddCloseFrom? = find("posix_spawn_file_actions_addclosefrom_np")
    /// glibc 2.26: the child begins a session.
    static let spawnInSession: Int32 = 0x80

    private static func find<Function>(_ name: String) -> Function? {
        dlsym(nil, name).map { unsafeBitCast($0, to: Function.self) }
    }
}
