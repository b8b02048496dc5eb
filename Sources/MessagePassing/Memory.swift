import Glibc

/// Zeroed memory aligned to 64 bytes that lives as long as the process or until `free`.
public func allocateZeroed(byteCount: Int) -> UnsafeMutableRawPointer {
    let hugePage = 1 << 21
    let size = max(byteCount, 64).roundedUp(to: 64)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: size >= hugePage ? hugePage : 64)
    if size >= hugePage { madvise(memory, size, MADV_HUGEPAGE) }
    memset(memory, 0, size)
    return memory
}

/// Zeroed memory aligned to a page whose pages exist from the first touch on; it lives as long as the process.
func mapZeroed(byteCount: Int) throws -> UnsafeMutableRawPointer {
    let memory = mmap(nil, max(byteCount, 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let memory, memory != MAP_FAILED else {
        throw Failure(.internalError, "\(byteCount) bytes of memory cannot be had: \(String(cString: strerror(errno)))")
    }
    return memory
}

extension Int {
    /// The next multiple of `alignment`, a power of two.
    public func roundedUp(to alignment: Int) -> Int { (self + alignment - 1) & ~(alignment - 1) }
}

/// Ends the process without running exit handlers of a library that other ranks might wait in.
func exit(_ code: Int32) -> Never {
    fflush(nil)
    _exit(code)
}
