import CCrypto

/// SHA-256 (FIPS 180-4) of bytes that come piece by piece.
public final class SHA256Digest {
    /// Nil once finished.
    private var context: OpaquePointer?

    public init() {
        context = EVP_MD_CTX_new()
        check(EVP_DigestInit_ex(context, EVP_sha256(), nil))
    }

    deinit { EVP_MD_CTX_free(context) }

    /// - Precondition: Not finished.
    public func update(_ bytes: UnsafeRawBufferPointer) {
        precondition(context != nil, "the digest is finished")
        check(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count))
    }

    /// The 32 bytes of the digest, which ends here.
    /// - Precondition: Not finished.
    public func finish() -> [UInt8] {
        precondition(context != nil, "the digest is finished")
        var digest = [UInt8](repeating: 0, count: 32)
        check(EVP_DigestFinal_ex(context, &digest, nil))
        EVP_MD_CTX_free(context)
        context = nil
        return digest
    }

    /// OpenSSL fails here only where it has no memory or no SHA-256 at all.
    private func check(_ status: Int32) {
        precondition(status == 1, "OpenSSL cannot compute SHA-256")
    }
}

extension Sequence<UInt8> {
    /// Two lowercase hexadecimal digits a byte.
    public var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    var spacedHexadecimal: String { map { [$0].hexadecimal }.joined(separator: " ") }
}
