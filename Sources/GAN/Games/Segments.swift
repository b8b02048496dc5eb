import MessagePassing

/// A buffer of which each rank holds a segment.
struct Segments {
    /// This rank's.
    let own: UnsafePointer<Float>
    /// Elements of all of them.
    let count: Int
    /// Where each rank's lies, ascending.
    let elements: (_ rank: Int) -> Range<Int>
}

extension World {
    /// Some elements of a buffer on rank 0, all where none are named; on others nothing. Every rank calls it.
    func collect(_ segments: Segments, _ wanted: Range<Int>? = nil) throws -> [Float] {
        let wanted = wanted ?? 0..<segments.count
        let ownSegment = segments.elements(communicator.rank)
        let ownPart = ownSegment.clamped(to: wanted)
        let bytes = UnsafeRawBufferPointer(
            start: segments.own + (ownPart.lowerBound - ownSegment.lowerBound), count: 4 * ownPart.count)
        guard communicator.rank == 0 else {
            if !ownPart.isEmpty { try send(bytes, to: 0, tag: .state) }
            return []
        }
        var collected = [Float](repeating: 0, count: wanted.count)
        try collected.withUnsafeMutableBytes { target in
            target.copyMemory(from: bytes)
            for rank in 0..<communicator.size where rank > 0 {
                let part = segments.elements(rank).clamped(to: wanted)
                guard !part.isEmpty else { continue }
                let place = 4 * (part.lowerBound - wanted.lowerBound)..<4 * (part.upperBound - wanted.lowerBound)
                try receive(UnsafeMutableRawBufferPointer(rebasing: target[place]), from: rank, tag: .state)
            }
        }
        return collected
    }
}

extension Player {
    /// A buffer of its parameters' layout, of which this rank holds `own`.
    func segments(_ own: UnsafePointer<Float>) -> Segments {
        Segments(own: own, count: network.layout.count, elements: reducer.segment(of:))
    }

    /// The moving average of the parameters: a copy on rank 0, empty on other ranks, nil if none is kept. Every rank calls it.
    func gatherAverage(_ world: World) throws -> [Float]? {
        try optimizer.average.map { try world.collect(segments($0)) }
    }
}
