import Foundation

/// The point at t of the great circle from p to q: sin((1 − t)Ω) / sin Ω · p + sin(tΩ) / sin Ω · q, Ω the angle between
/// them. Normal noise is about equally long everywhere; a straight line would pass through points shorter than any.
///
/// Where no great circle is determined, p and q being parallel, opposite or zero, it is the straight line.
/// Source: Shoemake, Animating rotation with quaternion curves (SIGGRAPH 1985).
/// - Precondition: both have the same length.
public func slerp(_ p: [Float], _ q: [Float], at t: Double) -> [Float] {
    precondition(p.count == q.count, "\(p.count) and \(q.count) numbers")
    func dot(_ x: [Float], _ y: [Float]) -> Double { zip(x, y).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
    let cosine = dot(p, q) / (dot(p, p) * dot(q, q)).squareRoot()
    let angle = acos(max(-1, min(1, cosine)))
    let isLine = !(sin(angle) > 1e-6)
    let (a, b) = isLine ? (1 - t, t) : (sin((1 - t) * angle) / sin(angle), sin(t * angle) / sin(angle))
    return zip(p, q).map { Float(a * Double($0) + b * Double($1)) }
}

/// Walks of `columns` steps, one behind the other, from each even vector of `ends` to the odd one after it.
/// - Precondition: `columns` is at least 2, and `ends` holds pairs.
func walks(between ends: [[Float]], columns: Int) -> [[Float]] {
    precondition(columns >= 2 && ends.count % 2 == 0, "\(columns) columns, \(ends.count) ends")
    return stride(from: 0, to: ends.count, by: 2).flatMap { end in
        (0..<columns).map { slerp(ends[end], ends[end + 1], at: Double($0) / Double(columns - 1)) }
    }
}
