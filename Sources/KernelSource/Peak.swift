extension Implementation {
    /// Runs 12 independent chains of `count` fused multiply-adds of one vector each and returns the number of
    /// floating-point operations: the machine's peak, against which `gan-dist bench` states every rate. Twelve chains hide
    /// a latency of up to six cycles on two units, and fit the registers of every instruction set.
    /// The chains' final values go to `sink`, so that they are not optimised away.
    public static func multiplyAddPeak(_ count: Int, _ sink: UnsafeMutablePointer<Float>) -> Int {
        multiplyAddPeak(Singles.self, count, sink)
    }

    /// The same in any format, a multiply-add counted once a lane.
    @inline(__always)
    static func multiplyAddPeak<Elements: Format>(_: Elements.Type, _ count: Int, _ sink: UnsafeMutablePointer<Float>) -> Int {
        var sums = Tile<6, 2>(repeating: InlineArray(repeating: Vector()))
        let a = load(sink)
        let b = load(sink + lanes)
        var i = 0
        while i < count {
            var m = 0
            while m < 6 {
                sums[unchecked: m][unchecked: 0] = Elements.multiplyAdd(a, b, sums[unchecked: m][unchecked: 0])
                sums[unchecked: m][unchecked: 1] = Elements.multiplyAdd(a, b, sums[unchecked: m][unchecked: 1])
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

    /// Reads `count` floats, a multiple of 128, from the first to the last and writes a sum of them to `sink`.
    public static func read(_ x: UnsafePointer<Float>, count: Int, _ sink: UnsafeMutablePointer<Float>) {
        var sums = TileRow<8>(repeating: Vector())
        var i = 0
        while i < count {
            var v = 0
            while v < 8 {
                sums[unchecked: v] += load(x + i + v * lanes)
                v += 1
            }
            i += 8 * lanes
        }
        var v = 1
        while v < 8 {
            sums[unchecked: 0] += sums[unchecked: v]
            v += 1
        }
        store(sums[unchecked: 0], sink)
    }
}
