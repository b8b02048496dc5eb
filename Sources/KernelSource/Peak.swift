/// Runs 12 independent chains of `count` fused multiply-adds of one vector each and returns the number of
/// floating-point operations: the machine's peak, against which `gan-dist bench` states every rate. Twelve chains hide
/// a latency of up to six cycles on two units, and fit the registers of every instruction set.
/// The chains' final values go to `sink`, so that they are not optimised away.
public func multiplyAddPeak(_ count: Int, _ sink: UnsafeMutablePointer<Float>) -> Int {
    var sums = Tile<6, 2>(repeating: InlineArray(repeating: Vector()))
    let a = load(sink)
    let b = load(sink + lanes)
    var i = 0
    while i < count {
        var m = 0
        while m < 6 {
            sums[unchecked: m][unchecked: 0] = fma(a, b, sums[unchecked: m][unchecked: 0])
            sums[unchecked: m][unchecked: 1] = fma(a, b, sums[unchecked: m][unchecked: 1])
            m += 1
        }
        i += 1
    }
    var total = Vector()
    var m = 0
    while m < 6 {
        total += sums[unchecked: m][unchecked: 0] + sums[unchecked: m][unchecked: 1]
        m += 1
    }
    store(total, sink)
    return count * 12 * lanes * 2
}
