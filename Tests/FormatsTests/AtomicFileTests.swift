import Formats
import Foundation
import Testing

@Suite struct AtomicFileTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func append(_ text: String, to file: AtomicFile) throws {
        try Array(text.utf8).withUnsafeBytes { try file.append($0) }
    }

    @Test func appearsOnlyWhenCommitted() throws {
        let file = try AtomicFile(path: folder.file("target"))
        try append("hello, ", to: file)
        try append("", to: file)
        try append("world", to: file)
        #expect(file.count == 12)
        try Array("HE".utf8).withUnsafeBytes { try file.overwrite(at: 0, $0) }
        try Array("D".utf8).withUnsafeBytes { try file.overwrite(at: 11, $0) }
        #expect(try folder.names.count == 1)
        #expect(try folder.names[0].hasPrefix("target.partial-"))
        try file.commit()
        #expect(try folder.names == ["target"])
        #expect(try folder.read("target") == Array("HEllo, worlD".utf8))
    }

    @Test func replacesTheFileOfThatName() throws {
        try folder.write([1, 2, 3], to: "target")
        let file = try AtomicFile(path: folder.file("target"))
        try append("new", to: file)
        #expect(try folder.read("target") == [1, 2, 3])
        try file.commit()
        #expect(try folder.read("target") == Array("new".utf8))
    }

    @Test func isRemovedWhenDropped() throws {
        try folder.write([1, 2, 3], to: "target")
        do {
            let file = try AtomicFile(path: folder.file("target"))
            try append("half", to: file)
        }
        #expect(try folder.names == ["target"])
        #expect(try folder.read("target") == [1, 2, 3])
    }

    @Test func isRemovedWhenTheDiskIsFull() throws {
        try folder.write([1, 2, 3], to: "target")
        let temporary = try folder.write([], to: "target.partial")
        let full = open("/dev/full", O_WRONLY)
        try #require(full >= 0)
        let file = AtomicFile(path: folder.file("target"), temporaryPath: temporary, descriptor: full)
        expectError(.io, "write failed: No space left on device; free some space") { try append("more", to: file) }
        #expect(try folder.names == ["target"])
        #expect(try folder.read("target") == [1, 2, 3])
    }

    @Test func isRemovedWhenItCannotBeRenamed() throws {
        let file = try AtomicFile(path: folder.file("target"))
        try append("x", to: file)
        try FileManager.default.createDirectory(atPath: folder.file("target"), withIntermediateDirectories: false)
        expectError(.io, "rename failed: Is a directory") { try file.commit() }
        #expect(try folder.names == ["target"])
    }

    @Test func reportsAFolderThatVanishes() throws {
        let subfolder = folder.file("subfolder")
        try FileManager.default.createDirectory(atPath: subfolder, withIntermediateDirectories: false)
        let file = try AtomicFile(path: "\(subfolder)/target")
        try append("x", to: file)
        try FileManager.default.removeItem(atPath: subfolder)
        expectError(.io, "rename failed: No such file") { try file.commit() }
    }

    @Test func reportsWhereItCannotBeCreated() throws {
        expectError(.io, "/target: cannot be created: the folder \(folder.file("absent")) does not exist; make it first") {
            _ = try AtomicFile(path: folder.file("absent/target"))
        }
        try folder.write([1])
        expectError(.io, "/target: cannot be created: \(folder.file("file")) is not a folder") {
            _ = try AtomicFile(path: folder.file("file/target"))
        }
        expectError(.io, "create failed") { _ = try AtomicFile(path: "/proc/self/target") }
    }

    @Test func worksInTheCurrentFolder() throws {
        let name = "atomic-file-\(UUID().uuidString)"
        let file = try AtomicFile(path: name)
        try file.commit()
        #expect(unlink(name) == 0)
    }

    @Test func refusesFoldersAndEmptyNames() throws {
        for path in [folder.path, folder.path + "/", folder.file("absent/")] {
            expectError(.io, "this is a folder; name a file in it") { _ = try AtomicFile(path: path) }
        }
        let error = #expect(throws: FormatError.self) { _ = try AtomicFile(path: "") }
        #expect(error?.description == "\"\": expected the name of a file, found an empty one")
        #expect(try folder.names == [])
    }

    /// Renaming a file to the name of a device would put the file in its place.
    @Test func leavesDevicesAlone() throws {
        try #require(mkfifo(folder.file("pipe"), 0o666) == 0)
        try #require(symlink("/dev/null", folder.file("link")) == 0)
        for name in ["pipe", "link"] {
            expectError(.io, "this is a pipe or device; name a file") { _ = try AtomicFile(path: folder.file(name)) }
        }
        expectError(.io, "this is a pipe or device; name a file") { _ = try AtomicFile(path: "/dev/stdout") }
        #expect(try folder.names == ["link", "pipe"])
    }

    @Test func writesWholeFiles() throws {
        try folder.write([1, 2, 3], to: "target")
        #expect(try AtomicFile.write(path: folder.file("target"), bytes: "text".utf8) == nil)
        #expect(try folder.read("target") == Array("text".utf8))
        #expect(try folder.names == ["target"])
    }

    /// A pipe cannot be synchronized: a file system that says so is used as it is, and that is said.
    @Test func tellsWhatCannotBeSynchronized() throws {
        let temporary = try folder.write([7], to: "target.partial")
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { close(ends[0]) }
        let file = AtomicFile(path: folder.file("target"), temporaryPath: temporary, descriptor: ends[1])
        try append("more", to: file)
        #expect(try file.commit() == "\(folder.file("target")): fsync: Invalid argument")
        #expect(try folder.names == ["target"])
    }

    @Test func knowsWhatKilledWritersLeave() throws {
        let file = try AtomicFile(path: folder.file("checkpoint"))
        #expect(try folder.names.map(AtomicFile.target) == ["checkpoint"])
        try file.commit()
        let others = ["checkpoint", "x.partial-", "x.partial-0123456789abcde", "x.partial-0123456789abcdeg"]
        for name in others + [".partial-0123456789abcdef"] {
            #expect(AtomicFile.target(ofPartial: name) == nil, "\(name)")
        }
    }

    /// A symbolic link of that name is replaced, what it leads to stays.
    @Test func replacesSymbolicLinks() throws {
        try folder.write([1], to: "other")
        try #require(symlink("other", folder.file("target")) == 0)
        try AtomicFile.write(path: folder.file("target"), bytes: [2])
        #expect(try folder.read("other") == [1])
        #expect(try folder.read("target") == [2])
    }
}
