import MessagePassing

/// How good the players are after some steps, by what training does not see.
struct Evaluation {
    /// For the log.
    let line: String
    let values: [(key: String, value: Double)]
    /// Fields of `stats.jsonl` in their order, with their JSON.
    let fields: [(key: String, json: String)]
    /// What is wrong with what was measured.
    var warnings: [String] = []

    init(line: String, values: [(key: String, value: Double)]) {
        self.line = line
        self.values = values
        fields = values.map { ($0.key, $0.value.json) }
    }

    /// What was measured of pictures, beside the floors.
    init(
        measures: [(key: Measure, value: Double)], extra: [(key: String, value: Double)], floors: Floors, images: Int,
        extractor: String
    ) {
        values = measures.map { ($0.key.rawValue, $0.value) } + extra
        var fields = values.map { ($0.key, $0.value.json) }
        var words: [String] = []
        for (measure, value) in measures {
            let (key, digits) = (measure.rawValue, measure.digits)
            let floor = floors.values[key]
            if let floor { fields += [("\(key)_floor", floor.mean.json), ("\(key)_floor_sd", floor.deviation.json)] }
            words.append("\(measure.title) \(value.fixed(digits))" + (floor.map { " (\($0.mean.fixed(digits)))" } ?? ""))
        }
        words += extra.map { "\($0.key.replacing("_", with: " ")) \($0.value.fixed(4))" }
        fields += [("images", "\(images)"), ("extractor_sha256", "\"\(extractor)\"")]
        self.fields = fields
        line = "Measured \(Double(images).grouped) pictures (in brackets: real ones): " + words.joined(separator: ", ")
    }

    /// One flat JSON object on one line.
    var json: String { "{" + fields.map { "\"\($0.key)\": \($0.json)" }.joined(separator: ", ") + "}" }
}
