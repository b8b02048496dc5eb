import Foundation

/// The page around what it shows: style, program and data in one file, which asks for nothing else.
enum ReportPage {
    /// What the page may do: nothing of the network, whatever files of a run hold.
    private static let policy =
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

    /// - Parameters:
    ///   - json: what is shown.
    ///   - blocks: bytes by the ids of the elements that hold them, as base64.
    static func html(title: String, json: Data, blocks: [(id: String, bytes: [UInt8])]) -> [UInt8] {
        var page: [UInt8] = []
        page.reserveCapacity(json.count + blocks.reduce(1 << 17) { $0 + $1.bytes.count * 4 / 3 + 128 })
        func add(_ text: String) { page += text.utf8 }
        add(
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
        page += embedded(json)
        add("</script>\n")
        for (id, bytes) in blocks {
            add("<script type=\"text/plain\" id=\"\(escaped(id))\">")
            page += Data(bytes).base64EncodedData()
            add("</script>\n")
        }
        for script in [elementScript, chartScript, networkScript, generatorScript, runScript, comparisonScript] {
            add("<script>\(script)</script>\n")
        }
        add("</body>\n</html>\n")
        return page
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
