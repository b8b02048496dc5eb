import Foundation
import MessagePassing

/// What rank 0 tells: lines on standard output and in `log.txt`, and on a terminal a progress bar below them.
final class Log {
    private let file: AppendedFile?
    private let isQuiet: Bool
    private let showsBar: Bool
    private var lastBar = -1.0
    private var barLength = 0

    /// - Parameter isLaunched: whether a launcher passes the output on. mpirun gives a rank a terminal even where its own
    ///   output is a file, so that what counts is the launcher's.
    init(file: AppendedFile?, isQuiet: Bool, isLaunched: Bool = false) {
        self.file = file
        self.isQuiet = isQuiet
        showsBar = !isQuiet && isatty(STDOUT_FILENO) == 1 && (!isLaunched || Log.parentHasTerminal)
    }

    private static var parentHasTerminal: Bool {
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(getppid())/fd/1")
        return target.map { $0.hasPrefix("/dev/pts/") || $0.hasPrefix("/dev/tty") } ?? false
    }

    func print(_ line: String) throws {
        clearBar()
        if !isQuiet {
            Swift.print(line)
            fflush(nil)
        }
        try file?.append(line)
    }

    /// Redraws the bar, at most ten times a second.
    func progress(step: Int, of total: Int, imagesPerSecond: Double, secondsLeft: Double) {
        guard showsBar else { return }
        let now = monotonicSeconds()
        guard now - lastBar > 0.1 else { return }
        lastBar = now
        let filled = 30 * step / max(1, total)
        let bar = String(repeating: "=", count: filled) + String(repeating: " ", count: 30 - filled)
        let minutes = Int(secondsLeft) / 60
        let text = "[\(bar)] \(100 * step / max(1, total)) %, \(imagesPerSecond.grouped) images/s, "
            + "\(minutes):\((Int(secondsLeft) % 60).padded(to: 2)) left"
        let padding = String(repeating: " ", count: max(0, barLength - text.count))
        Swift.print("\r\(text)\(padding)", terminator: "")
        barLength = text.count
        fflush(nil)
    }

    func clearBar() {
        guard barLength > 0 else { return }
        Swift.print("\r" + String(repeating: " ", count: barLength) + "\r", terminator: "")
        barLength = 0
    }
}

extension Double {
    /// With so many digits after the point, and none of the locale's habits.
    public func fixed(_ digits: Int) -> String { String(format: "%.\(digits)f", self) }

    /// Rounded, with commas: 31,200.
    public var grouped: String {
        guard isFinite, abs(self) < 1e15 else { return "\(self)" }
        let digits = String(Int(rounded().magnitude))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return self < 0 ? "-" + text : text
    }

    /// As JSON, which knows no infinity.
    var json: String { isFinite ? "\(self)" : "null" }
}
