// The messages that a file for TensorBoard holds: event.proto and summary.proto of tensorboard/compat/proto, and
// plugin_data.proto of tensorboard/plugins/hparams (https://github.com/tensorflow/tensorboard). Numbers are those of fields.

/// What is shown of one step, by tags; what stands before a slash in a tag is the group that it is shown in.
public struct TensorBoardSummary {
    fileprivate var writer = ProtobufWriter()

    public init() {}

    public var isEmpty: Bool { writer.bytes.isEmpty }

    /// A point of a curve; the format keeps it in single precision.
    public mutating func add(_ tag: String, scalar: Double) { add(tag) { $0.write(Float(scalar), field: 2) } }

    /// A picture as the bytes of its PNG file.
    public mutating func add(_ tag: String, png bytes: [UInt8], _ header: PictureHeader) {
        add(tag) { value in
            value.write(field: 4) { image in
                image.write(header.height, field: 1)
                image.write(header.width, field: 2)
                image.write(header.channels, field: 3)
                image.write(bytes, field: 4)
            }
        }
    }

    public mutating func add(_ tag: String, _ histogram: TensorBoardHistogram) {
        add(tag) { value in
            value.write(field: 5) { message in
                message.write(histogram.minimum, field: 1)
                message.write(histogram.maximum, field: 2)
                message.write(Double(histogram.count), field: 3)
                message.write(histogram.sum, field: 4)
                message.write(histogram.sumOfSquares, field: 5)
                message.write(packed: histogram.limits, field: 6)
                message.write(packed: histogram.counts, field: 7)
            }
        }
    }

    private mutating func add(_ tag: String, _ body: (inout ProtobufWriter) -> Void) {
        writer.write(field: 1) { value in
            value.write(tag, field: 1)
            body(&value)
        }
    }

    // MARK: Hyper-parameters

    /// The value of a hyper-parameter.
    public enum Value: Sendable, Equatable {
        case number(Double)
        case text(String)
        case truth(Bool)
    }

    /// What a run was started with, for the table of all runs. It belongs to step 0 and stands in a folder once.
    public static func start(_ hyperparameters: [(name: String, value: Value)]) -> TensorBoardSummary {
        session("session_start_info", field: 3) { info in
            for (name, value) in hyperparameters {
                info.write(field: 1) { entry in
                    entry.write(name, field: 1)
                    entry.write(field: 2) { message in
                        switch value {
                        case .number(let number): message.write(number, field: 2)
                        case .text(let text): message.write(text, field: 3)
                        case .truth(let truth): message.write(truth, field: 4)
                        }
                    }
                }
            }
            info.write(realSeconds(), field: 5)
        }
    }

    /// The run is finished.
    public static var end: TensorBoardSummary {
        session("session_end_info", field: 4) { info in
            info.write(1, field: 1)  // STATUS_SUCCESS
            info.write(realSeconds(), field: 2)
        }
    }

    private static func session(_ name: String, field: Int, _ body: (inout ProtobufWriter) -> Void) -> TensorBoardSummary {
        var data = ProtobufWriter()
        data.write(0, field: 1)  // the version of this message
        data.write(field: field, body)
        var summary = TensorBoardSummary()
        summary.add("_hparams_/\(name)") { value in
            // An empty tensor, without which nothing is read.
            value.write(field: 8) { tensor in
                tensor.write(1, field: 1)  // DT_FLOAT
                tensor.write(field: 2) { shape in shape.write(field: 2) { $0.write(0, field: 1) } }
            }
            value.write(field: 9) { metadata in
                metadata.write(field: 1) { plugin in
                    plugin.write("hparams", field: 1)
                    plugin.write(data.bytes, field: 2)
                }
            }
        }
        return summary
    }
}

extension TensorBoardFile {
    /// Writes what a file begins with: the version of the format, and that all there is of a step and those after it, in
    /// files before this one, is void.
    public func begin(at step: Int) throws {
        try write { $0.write("brain.Event:2", field: 3) }
        try write(step: step) { event in event.write(field: 7) { $0.write(1, field: 1) } }  // SessionLog, START
    }

    public func write(_ summary: TensorBoardSummary, step: Int) throws {
        try write(step: step) { $0.write(summary.writer.bytes, field: 5) }
    }

    private func write(step: Int = 0, _ body: (inout ProtobufWriter) -> Void) throws {
        var event = ProtobufWriter()
        event.write(realSeconds(), field: 1)
        event.write(step, field: 2)
        body(&event)
        try append(event.bytes)
    }
}
