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
        try FileManager.default.createDirectory(atPath: folder.file("target"), withIntermediateDirectories: false)
        let file = try AtomicFile(path: folder.file("target"))
        try append("x", to: file)
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

    @Test func reportsWhereItCannotBeCreated() {
        expectError(.io, "create failed: No such file or directory; check that the path exists") {
            _ = try AtomicFile(path: folder.file("absent/target"))
        }
        expectError(.io, "create failed") { _ = try AtomicFile(path: "/proc/self/target") }
    }

    @Test func worksInTheCurrentFolder() throws {
        let name = "atomic-file-\(UUID().uuidString)"
        let file = try AtomicFile(path: name)
        try file.commit()
        #expect(unlink(name) == 0)
    }
}
