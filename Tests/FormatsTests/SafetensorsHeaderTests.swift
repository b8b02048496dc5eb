import Formats
import Testing

@Suite struct SafetensorsHeaderTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func open(_ header: String, dataSize: Int = 0) throws -> SafetensorsFile {
        try open(Array(header.utf8), dataSize: dataSize)
    }

    private func open(_ header: [UInt8], length: UInt64? = nil, dataSize: Int = 0) throws -> SafetensorsFile {
        let length = withUnsafeBytes(of: (length ?? UInt64(header.count)).littleEndian) { Array($0) }
        return try SafetensorsFile(path: folder.write(length + header + [UInt8](repeating: 0, count: dataSize)))
    }

    @Test func readsWhatOthersWrite() throws {
        let file = try open(
            "{ \"b\" : {\"shape\":[2],\"data_offsets\":[4, 12],\"dtype\":\"F32\"} ,\n"
                + "\"__metadata__\":{\"text\":\"\\u00e9\\n\\uD83D\\ude00\\/\"},\t"
                + "\"a\":{\"dtype\":\"I32\",\"shape\":[1,1],\"data_offsets\":[0,4]}}   ",
            dataSize: 12)
        #expect(file.tensorNames == ["a", "b"])
        #expect(file.metadata == ["text": "é\n😀/"])
        #expect(file.tensors["a"]?.elementType == .int32)
        #expect(file.tensors["b"]?.byteRange.count == 8)
        expectError(.invalid, "found 1 of I32") {
            var float: Float = 0
            try withUnsafeMutablePointer(to: &float) {
                try file.readFloats("a", into: UnsafeMutableBufferPointer(start: $0, count: 1))
            }
        }
        expectError(.invalid, "SHA-256") { try file.verifyDigest() }
        #expect(try open("{}").tensors.isEmpty)
    }

    @Test(arguments: [
        ("BOOL", 1), ("U8", 1), ("I8", 1), ("U16", 2), ("I16", 2), ("F16", 2), ("BF16", 2), ("U32", 4), ("I32", 4),
        ("F32", 4), ("U64", 8), ("I64", 8), ("F64", 8),
    ]) func knowsTypes(name: String, size: Int) throws {
        let header = #"{"x":{"dtype":"\#(name)","shape":[3],"data_offsets":[0,\#(3 * size)]}}"#
        #expect(try open(header, dataSize: 3 * size).tensors["x"]?.count == 3)
    }

    @Test(arguments: [
        "", " {}", "[]", "{", "{}{}", "{},", "{\"a\"}", "{\"a\":}", "{\"a\":1}", "{\"a\":null}", "{a:{}}", "{,}",
        "{\"a", "{\"a\":{\"dtype\":\"F32\"", "{\"\\", "{\"\\u12",
        "{\"__metadata__\":[]}", "{\"__metadata__\":{\"a\":1}}", "{\"__metadata__\":{\"a\":{}}}",
        "{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", "{\"__metadata__\":{},\"__metadata__\":{}}",
        "{\"__metadata__\":{\"a\":\"1\",}}",
    ]) func refusesOtherJSON(header: String) {
        expectError(.invalid) { _ = try open(header) }
    }

    @Test(arguments: [
        "\\x", "\\U0041", "\\u12G4", "\\u+123", "\\u-000", "\\u12", "\\ud800", "\\ud800x", "\\ud800\\n",
        "\\ud800\\u0041", "\\udc00", "\\udc00\\ud800", "a\nb", "\0",
    ]) func refusesMalformedStrings(string: String) throws {
        expectError(.invalid, "before byte") { _ = try open("{\"__metadata__\":{\"key\":\"\(string)\"}}") }
    }

    @Test func refusesOtherText() {
        expectError(.invalid, "UTF-8") { _ = try open([0x7b, 0x22, 0xff, 0x22, 0x7d]) }
        let nested = String(repeating: "{\"a\":", count: 100_000)
        expectError(.invalid, "unknown field") { _ = try open(nested) }
    }

    /// Each is the entry of a tensor `x` in a file of 8 data bytes.
    @Test(arguments: [
        (#""dtype":"F32","shape":[2]"#, "needs dtype"),
        (#""dtype":"F32","data_offsets":[0,8]"#, "needs dtype"),
        (#""shape":[2],"data_offsets":[0,8]"#, "needs dtype"),
        (#""dtype":"F31","shape":[2],"data_offsets":[0,8]"#, "unknown dtype \"F31\""),
        (#""dtype":32,"shape":[2],"data_offsets":[0,8]"#, #"expected ""#),
        (#""dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1"#, "unknown field \"more\""),
        (#""dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]"#, "occurs twice"),
        (#""dtype":"F32","shape":2,"data_offsets":[0,8]"#, "expected ["),
        (#""dtype":"F32","shape":[-2],"data_offsets":[0,8]"#, "non-negative integer"),
        (#""dtype":"F32","shape":[2.0],"data_offsets":[0,8]"#, "expected ]"),
        (#""dtype":"F32","shape":[02],"data_offsets":[0,8]"#, "non-negative integer"),
        (#""dtype":"F32","shape":[2,],"data_offsets":[0,8]"#, "non-negative integer"),
        (#""dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]"#, "non-negative integer"),
        (#""dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,8]"#, "does not fit"),
        (#""dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]"#, "does not fit"),
        (#""dtype":"F32","shape":[1\#(String(repeating: ",1", count: 64))],"data_offsets":[0,4]"#, "more than 64"),
        (#""dtype":"\u001b[2J","shape":[1],"data_offsets":[0,4]"#, "dtype \"\\u{1B}[2J\""),
        (#""dtype":"F32","shape":[3],"data_offsets":[0,8]"#, "does not fit"),
        (#""dtype":"F64","shape":[2],"data_offsets":[0,8]"#, "does not fit"),
        (#""dtype":"F32","shape":[2],"data_offsets":[8,0]"#, "a begin and an end"),
        (#""dtype":"F32","shape":[2],"data_offsets":[0]"#, "a begin and an end"),
        (#""dtype":"F32","shape":[2],"data_offsets":[0,8,16]"#, "a begin and an end"),
        (#""dtype":"F32","shape":[1],"data_offsets":[4,8]"#, "start at data byte 0, found 4"),
        (#""dtype":"F32","shape":[1],"data_offsets":[0,4]"#, "the file has 8 after"),
        (#""dtype":"F32","shape":[3],"data_offsets":[0,12]"#, "the file has 8 after"),
        (
            #""dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]"#,
            "the file has 8 after"
        ),
    ]) func refusesTensors(entry: String, message: String) {
        expectError(.invalid, message) { _ = try open("{\"x\":{\(entry)}}", dataSize: 8) }
    }

    @Test func refusesHolesOverlapsAndDuplicates() {
        func entry(_ name: String, _ begin: Int, _ end: Int) -> String {
            "\"\(name)\":{\"dtype\":\"U8\",\"shape\":[\(end - begin)],\"data_offsets\":[\(begin),\(end)]}"
        }
        expectError(.invalid, "expected tensor \"b\" to start at data byte 4, found 3") {
            _ = try open("{\(entry("a", 0, 4)),\(entry("b", 3, 8))}", dataSize: 8)
        }
        expectError(.invalid, "expected tensor \"b\" to start at data byte 4, found 5") {
            _ = try open("{\(entry("a", 0, 4)),\(entry("b", 5, 8))}", dataSize: 8)
        }
        expectError(.invalid, "\"a\" occurs twice") {
            _ = try open("{\(entry("a", 0, 4)),\(entry("a", 4, 8))}", dataSize: 8)
        }
        expectError(.invalid, "\"a\" occurs twice") {
            _ = try open("{\(entry("a", 0, 4)),\(entry("\\u0061", 4, 8))}", dataSize: 8)
        }
    }

    @Test(arguments: [3, 100_000_001, UInt64(Int.max), .max]) func refusesHeaderLengths(length: UInt64) {
        expectError(.invalid, "expected a safetensors header of at most 2 bytes, found \(length)") {
            _ = try open(Array("{}".utf8), length: length)
        }
    }

    @Test(arguments: [
        String(repeating: "0", count: 63), String(repeating: "A", count: 64), String(repeating: "g", count: 64),
        "\\u0030" + String(repeating: "0", count: 63), "",
    ]) func refusesMalformedDigests(digest: String) throws {
        let file = try open("{\"__metadata__\":{\"sha256\":\"\(digest)\"}}")
        expectError(.invalid, "64 lowercase digits") { try file.verifyDigest() }
    }
}
