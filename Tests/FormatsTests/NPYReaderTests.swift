import Formats
import Foundation
import Testing

@Suite struct NPYReaderTests {
    /// A file of NumPy, as `arrays.py` wrote it.
    struct Case: Decodable {
        let name: String
        let file: Data
        let shape: [Int]
        let least: Int?
        let bytes: Data?
        let bounds: [Double]?
        let integers: [Int]?
        let refusal: String?
    }

    let folder: TemporaryFolder
    let cases: [Case]

    init() throws {
        folder = try TemporaryFolder()
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("arrays.json")
        cases = try JSONDecoder().decode([Case].self, from: Data(contentsOf: path))
        try #require(cases.count == 47)
    }

    private func reader(_ bytes: [UInt8]) throws -> NPYReader { try NPYReader(path: folder.write(bytes, to: "a.npy")) }

    /// A file of version 1 with that dictionary.
    private func file(_ dictionary: String, _ data: [UInt8] = []) -> [UInt8] {
        let header = Array(dictionary.utf8)
        return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.count & 255), UInt8(header.count >> 8)] + header + data
    }

    @Test func picturesAreThoseOfNumPy() throws {
        for test in cases {
            guard let bytes = test.bytes, let bounds = test.bounds else { continue }
            let reader = try reader(Array(test.file))
            #expect(reader.shape == test.shape, "\(test.name)")
            let range = test.least == 0 ? ValueRange.zeroToOne : .minusOneToOne
            #expect(try reader.readBytes(first: 0, count: bytes.count, range: range) == Array(bytes), "\(test.name)")
            if bytes.count > 3 {
                #expect(try reader.readBytes(first: 2, count: 1, range: range) == [bytes[2]], "\(test.name)")
            }
            guard reader.elementType != .uint8 else { continue }
            let found = try reader.valueBounds(first: 0, count: bytes.count)
            #expect(found.least == bounds[0] && found.greatest == bounds[1], "\(test.name)")
        }
    }

    /// Floats of either size and order of bytes; what single precision cannot hold is named.
    @Test func floats() throws {
        func array(_ descr: String, _ elements: [[UInt8]]) -> [UInt8] {
            file("{'descr': '\(descr)', 'fortran_order': False, 'shape': (\(elements.count),)}", elements.flatMap(\.self))
        }
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
        let values: [Double] = [0, -1.5, 3e38, 0.1]
        for (type, elements) in [
            ("f4", values.map { bytes(Float($0).bitPattern) }), ("f8", values.map { bytes($0.bitPattern) }),
        ] {
            for (order, file) in [("<", array("<\(type)", elements)), (">", array(">\(type)", elements.map { $0.reversed() }))] {
                let reader = try reader(file)
                #expect(try reader.readFloats(first: 0, count: 4) == values.map { Float($0) }, "\(order)\(type)")
                #expect(try reader.readFloats(first: 2, count: 1) == [3e38], "\(order)\(type)")
            }
        }
        for (value, text) in [(Double.nan, "element 1, counted from 0, is nan"), (-.infinity, "-inf"), (1e39, "1e+39")] {
            let reader = try reader(array("<f8", [bytes(0.0.bitPattern), bytes(value.bitPattern)]))
            expectError(.invalid, text) { _ = try reader.readFloats(first: 0, count: 2) }
            #expect(try reader.readFloats(first: 0, count: 1) == [0])
        }
        let integers = try reader(array("<i4", [[1, 0, 0, 0]]))
        expectError(.invalid, "float32") { _ = try integers.readFloats(first: 0, count: 1) }
    }

    @Test func integersAreThoseOfNumPy() throws {
        for test in cases {
            guard let integers = test.integers else { continue }
            let reader = try reader(Array(test.file))
            #expect(try reader.readIntegers(first: 0, count: integers.count) == integers, "\(test.name)")
            #expect(try reader.readIntegers(first: 3, count: 2) == Array(integers[3..<5]), "\(test.name)")
            #expect(try reader.readIntegers(first: 6, count: 0) == [], "\(test.name)")
        }
    }

    @Test func otherTypesAreRefused() throws {
        for test in cases {
            guard let refusal = test.refusal else { continue }
            expectError(.invalid, refusal) { _ = try reader(Array(test.file)) }
        }
    }

    /// More elements than are read at once.
    @Test func longArraysAreReadInPieces() throws {
        let floats = (0..<50_000).map { Float($0 % 256) / 255 }
        try floats.withUnsafeBufferPointer { try writeNPY(path: folder.file("a.npy"), shape: [50, 1000], elements: $0) }
        let reader = try NPYReader(path: folder.file("a.npy"))
        #expect(reader.shape == [50, 1000])
        #expect(reader.elementType == .float32)
        let bytes = try reader.readBytes(first: 1, count: 49_999, range: .zeroToOne)
        #expect(bytes == (1..<50_000).map { UInt8($0 % 256) })
    }

    @Test func strangeValuesAreNamed() throws {
        for (value, text) in [(Float.nan, "nan"), (.infinity, "inf"), (1.5, "1.5"), (-2, "-2.0"), (127, "127.0")] {
            var floats = [Float](repeating: 0.5, count: 30_000)
            floats[20_001] = value
            try floats.withUnsafeBufferPointer { try writeNPY(path: folder.file("a.npy"), shape: [30_000], elements: $0) }
            let reader = try NPYReader(path: folder.file("a.npy"))
            let message = "element 20001, counted from 0, is \(text); expected values of 0 … 1"
            expectError(.invalid, message + " or −1 … 1; scale") { _ = try reader.valueBounds(first: 1, count: 29_999) }
            expectError(.invalid, message + "; scale") { _ = try reader.readBytes(first: 1, count: 29_999, range: .zeroToOne) }
            expectError(.invalid, message) { _ = try reader.readBytes(first: 1, count: 29_999, range: .minusOneToOne) }
            #expect(try reader.valueBounds(first: 0, count: 20_001) == (0.5, 0.5))
        }
        let reader = try reader(file("{'descr':'<f4','fortran_order':False,'shape':(1,)}", [0, 0, 0, 0xbf]))
        #expect(try reader.readBytes(first: 0, count: 1, range: .minusOneToOne) == [64])
        expectError(.invalid, "element 0, counted from 0, is -0.5; expected values of 0 … 1;") {
            _ = try reader.readBytes(first: 0, count: 1, range: .zeroToOne)
        }
    }

    @Test func methodsRefuseOtherElements() throws {
        let floats = try reader(file("{'descr':'<f4','fortran_order':False,'shape':(1,)}", [0, 0, 0, 0]))
        expectError(.invalid, "expected elements of integers, found \"<f4\"; save array.astype('int64')") {
            _ = try floats.readIntegers(first: 0, count: 1)
        }
        let integers = try reader(file("{'descr':'<u8','fortran_order':False,'shape':(1,)}", [UInt8](repeating: 255, count: 8)))
        #expect(integers.elementType == .integer(size: 8, isSigned: false))
        expectError(.invalid, "found \"<u8\"; save array.astype('uint8')") {
            _ = try integers.readBytes(first: 0, count: 1, range: .zeroToOne)
        }
        expectError(.invalid, "found \"<u8\"") { _ = try integers.valueBounds(first: 0, count: 1) }
        expectError(.invalid, "element 0, counted from 0, is 18446744073709551615; expected integers of at most") {
            _ = try integers.readIntegers(first: 0, count: 1)
        }
    }

    @Test(
        arguments: [
            "{'descr':'|u1','fortran_order':False,'shape':(3,)}",
            "{'shape': (3L,), 'fortran_order': False, 'descr': '<u1', }  \n",
            " { \"descr\" : \"|u1\" , \"shape\" : ( 3 ) , \"fortran_order\" : False }",
            "{'descr':'|u1','fortran_order':False,'shape':(1,3,1)}",
        ])
    func dictionariesMayBeWrittenFreely(dictionary: String) throws {
        let reader = try reader(file(dictionary, [1, 2, 3]))
        #expect(reader.shape.reduce(1, *) == 3)
        #expect(try reader.readBytes(first: 0, count: 3, range: .zeroToOne) == [1, 2, 3])
    }

    @Test(
        arguments: [
            ("", "expected { before \"\""), ("{", "expected ' before \"\""), ("{'descr':'|u1'", "expected , before \"\""),
            ("{}", "expected the keys"),
            ("{'descr':'|u1','shape':(3,)}", "expected the keys descr, fortran_order and shape"),
            ("{'descr':'|u1','descr':'|u1'}", "the key \"descr\" occurs twice"), ("{'other':1}", "unknown key \"other\""),
            ("{'descr':'|u1}", "has no end"), ("{'descr':'|\\x75'}", "or an escape"),
            ("{'descr':|u1}", "expected ' before \"|u1}\""),
            ("{'descr' '|u1'}", "expected :"), ("{'fortran_order':0}", "expected True or False"),
            ("{'fortran_order':True}", "numpy.ascontiguousarray"), ("{'shape':3}", "expected ( before \"3}\""),
            ("{'shape':(-3,)}", "found \"-3\""), ("{'shape':(3-,)}", "found \"3-\""), ("{'shape':(,)}", "found \"\""),
            ("{'shape':(99999999999999999999,)}", "found \"99999999999999999999\""),
            ("{'descr':'|u1','fortran_order':False,'shape':(3,)} x", "expected the end of the header"),
            ("{'descr':'|u1','fortran_order':False,'shape':(4294967296,4294967296)}", "larger than any file"),
            ("{'descr':'<u8','fortran_order':False,'shape':(2305843009213693952,)}", "larger than any file"),
            ("{'descr':'|u1','fortran_order':False,'shape':(4,)}", "takes 4 bytes, the file has 3 after its header; it is cut"),
            ("{'descr':'|u1','fortran_order':False,'shape':(2,)}", "takes 2 bytes, the file has 3 after its header; it is dam"),
            ("{'descr':'','fortran_order':False,'shape':(3,)}", "found \"\""),
            ("{'descr':'u1','fortran_order':False,'shape':(3,)}", "found \"u1\""),
        ])
    func otherHeadersAreRefused(dictionary: String, message: String) throws {
        expectError(.invalid, message) { _ = try reader(file(dictionary, [1, 2, 3])) }
    }

    @Test func whatIsNoArrayIsRefused() throws {
        expectError(.invalid, "found an empty file; write it with numpy.save") { _ = try reader([]) }
        expectError(.invalid, "begins with \"PK..\"") { _ = try reader(Array("PK..".utf8)) }
        expectError(.invalid, "expected a regular file, found a folder") { _ = try NPYReader(path: folder.path) }
        expectError(.missing) { _ = try NPYReader(path: folder.file("absent")) }
        let magic = [0x93] + Array("NUMPY".utf8)
        expectError(.invalid, "found 4.0") { _ = try reader(magic + [4, 0] + [UInt8](repeating: 0, count: 100)) }
        for version in [2, 3] as [UInt8] {
            expectError(.invalid, "at most 65536 bytes, found 4294967295") {
                _ = try reader(magic + [version, 0, 255, 255, 255, 255] + [UInt8](repeating: 0, count: 100))
            }
        }
        let whole = file("{'descr':'|u1','fortran_order':False,'shape':(3,)}", [1, 2, 3])
        for count in 6..<whole.count {
            expectError(.invalid, "cut short") { _ = try reader(Array(whole[..<count])) }
        }
    }
}
