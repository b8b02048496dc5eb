import Formats
import Testing

/// The examples of FIPS 180-4.
@Suite struct SHA256Tests {
    private func digest(_ pieces: [String]) -> String {
        let digest = SHA256Digest()
        for piece in pieces { Array(piece.utf8).withUnsafeBytes { digest.update($0) } }
        return digest.finish().hexadecimal
    }

    @Test func matchesPublishedValues() {
        #expect(digest([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(digest(["abc"]) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            digest(["abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"])
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    }

    @Test func piecesDoNotMatter() {
        let piece = String(repeating: "a", count: 1000)
        let million = digest(Array(repeating: piece, count: 1000))
        #expect(million == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
        #expect(digest([String(repeating: "a", count: 999_999), "", "a"]) == million)
    }

    @Test func hexadecimalHasTwoDigitsAByte() {
        #expect(([0, 9, 0xab, 255] as [UInt8]).hexadecimal == "0009abff")
    }
}
