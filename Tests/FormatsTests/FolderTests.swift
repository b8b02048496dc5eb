import Formats
import Foundation
import Testing

/// What is there, what is not, and what cannot be seen.
@Suite struct FolderTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func listsNames() throws {
        #expect(try folderEntries(folder.path) == [])
        for name in ["b", "a", "Z", "ä", ".hidden"] { try folder.write([], to: name) }
        try #require(symlink("nowhere", folder.file("link")) == 0)
        try #require(mkdir(folder.file("sub"), 0o777) == 0)
        #expect(try folderEntries(folder.path) == [".hidden", "Z", "a", "b", "link", "sub", "ä"])
    }

    @Test func onlyAbsenceIsNone() throws {
        try folder.write([1])
        for path in ["absent", "absent/below", "file", "file/below"].map(folder.file) {
            #expect(try folderEntries(path) == nil, "\(path)")
        }
        try makeLoop()
        expectError(.io, "open failed: Too many levels of symbolic links") { _ = try folderEntries(folder.file("loop")) }
        expectError(.io, "open failed: File name too long") {
            _ = try folderEntries(folder.file(String(repeating: "x", count: 300)))
        }
    }

    @Test func tellsKinds() throws {
        try folder.write([1])
        try #require(symlink("file", folder.file("link")) == 0)
        try #require(symlink("nowhere", folder.file("broken")) == 0)
        #expect(try FileKind(path: folder.path) == .folder)
        #expect(try FileKind(path: folder.file("link")) == .file)
        #expect(try FileKind(path: "/dev/null") == .other)
        for name in ["absent", "broken", "file/below"] { #expect(try FileKind(path: folder.file(name)) == nil, "\(name)") }
        try makeLoop()
        expectError(.io, "stat failed: Too many levels of symbolic links") { _ = try FileKind(path: folder.file("loop")) }
    }

    @Test func readsWholeFiles() throws {
        let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0) }
        let path = try folder.write(bytes)
        #expect(try fileContents(path, limit: 200_000) == bytes)
        #expect(try fileContents(folder.write([], to: "empty"), limit: 0) == [])
        expectError(.invalid, "at most 199999 bytes") { _ = try fileContents(path, limit: 199_999) }
        expectError(.missing, "No such file") { _ = try fileContents(folder.file("absent"), limit: 10) }
        expectError(.invalid, "found a folder") { _ = try fileContents(folder.path, limit: 10, allowsPipes: true) }
        try makeLoop()
        expectError(.io, "open failed: Too many levels") { _ = try fileContents(folder.file("loop"), limit: 10) }
    }

    @Test func readsPipesWhereTheyAreAllowed() throws {
        #expect(try fileContents("/dev/null", limit: 10, allowsPipes: true) == [])
        expectError(.invalid, "found a pipe or device") { _ = try fileContents("/dev/null", limit: 10) }
        expectError(.invalid, "at most 10 bytes") { _ = try fileContents("/dev/zero", limit: 10, allowsPipes: true) }
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        try #require(write(ends[1], "hello", 5) == 5)
        close(ends[1])
        defer { close(ends[0]) }
        #expect(try fileContents("/dev/fd/\(ends[0])", limit: 10, allowsPipes: true) == Array("hello".utf8))
    }

    private func makeLoop() throws { try #require(symlink("loop", folder.file("loop")) == 0) }
}
