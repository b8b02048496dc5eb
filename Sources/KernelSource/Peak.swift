/// Runs 24 independent chains of `count` fused multiply-adds of one vector each and returns the number of
/// floating-point operations: the machine's peak, against which `gan-dist bench` states every rate.
/// The chains' final values go to `sink`, so that they are not optimised away.
public func multiplyAddPeak(_ count: Int, _ sink: UnsafeMutablePointer<Float>) -> Int {
    var sums = Tile<6, 4>(repeating: InlineArray(repeating: Vector()))
    let a = load(sink)
    let b = load(sink + lanes)
    var i = 0
    while i < count {
        var m = 0
        while m < 6 {
            var v = 0
            while v < 4 {
                sums[unchecked: m][unchecked: v] = fma(a, b, sums[unchecked: m][unchecked: v])
                v += 1
            }
            m += 1
        }
        i += 1
    }
    var total = Vector()
    var m = 0
    while m < 6 {
        var v = 0
        while v < 4 {
            total += sums[unchecked: m][unchecked: v]
            v += 1
        }
        m += 1
    }
    store(total, sink)
    return count * 24 * lanes * 2
}
