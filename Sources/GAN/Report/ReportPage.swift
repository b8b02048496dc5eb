import Foundation

/// The page around what it shows: style, program and data in one file, which asks for nothing else.
enum ReportPage {
    /// What the page may do: nothing of the network, whatever files of a run hold.
    private static let policy =
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

    /// The id of an element, and the bytes that it holds as base64.
    typealias Block = (id: String, bytes: () -> [UInt8])

    /// Makes the page piece by piece: as a whole it would be the largest thing in a small run's memory.
    /// - Parameters:
    ///   - json: what is shown.
    ///   - append: takes the next piece.
    static func write(
        title: String, json: Data, blocks: [Block], _ append: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        func add(_ text: String) throws {
            var text = text
            try text.withUTF8 { try append(UnsafeRawBufferPointer($0)) }
        }
        try add(
            """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <meta http-equiv="Content-Security-Policy" content="\(policy)">
            <title>\(escaped(title)) · gan-dist</title>
            <style>\(style)</style>
            </head>
            <body>
            <noscript>This page is drawn by the JavaScript in it, which your browser does not run.</noscript>
            <main id="page"></main>
            <script type="application/json" id="content">
            """)
        try embedded(json).withUnsafeBytes(append)
        try add("</script>\n")
        for (id, bytes) in blocks {
            try add("<script type=\"text/plain\" id=\"\(escaped(id))\">")
            let bytes = bytes()
            // Three bytes make four letters.
            for start in stride(from: 0, to: bytes.count, by: 3 << 14) {
                let piece = Data(bytes[start..<min(start + (3 << 14), bytes.count)])
                try piece.base64EncodedData().withUnsafeBytes(append)
            }
            try add("</script>\n")
        }
        for script in [elementScript, chartScript, networkScript, generatorScript, runScript, comparisonScript] {
            try add("<script>\(script)</script>\n")
        }
        try add("</body>\n</html>\n")
    }

    /// Text as HTML shows it, in an element or an attribute.
    static func escaped(_ text: String) -> String {
        // By scalars: a character may be "<" with an accent on it, which HTML reads as "<" all the same.
        text.unicodeScalars.reduce(into: "") { result, scalar in
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(scalar)
            }
        }
    }

    /// JSON as a script element holds it: `<` could end the element, and stands only inside strings of JSON.
    static func embedded(_ json: Data) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(json.count)
        for byte in json {
            if byte == UInt8(ascii: "<") { result += "\\u003c".utf8 } else { result.append(byte) }
        }
        return result
    }
}
