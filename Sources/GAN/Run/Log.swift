import Foundation
import MessagePassing

/// What rank 0 tells: lines on standard output and in `log.txt`, and on a terminal a progress bar below them.
///
/// A terminal or reader that goes away costs the output, and nothing else; a line that `log.txt` cannot take is an error.
final class Log {
    private let file: AppendedFile?
    private let terminal: Int32?
    private var isRead: Bool
    private var lastBar = -1.0
    private var hasBar = false

    /// - Parameter isLaunched: whether a launcher passes the output on. mpirun gives a rank a terminal even where its own
    ///   output is a file, so that what counts is the launcher's.
    init(file: AppendedFile?, isQuiet: Bool, isLaunched: Bool = false) {
        self.file = file
        isRead = !isQuiet
        terminal = isQuiet || isatty(STDOUT_FILENO) != 1 ? nil : isLaunched ? Log.parentTerminal() : STDOUT_FILENO
    }

    deinit { if let terminal, terminal != STDOUT_FILENO { close(terminal) } }

    /// The terminal that the launcher writes to, if it does.
    private static func parentTerminal() -> Int32? {
        let descriptor = open("/proc/\(getppid())/fd/1", O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        if isatty(descriptor) == 1 { return descriptor }
        close(descriptor)
        return nil
    }

    func print(_ line: String) throws {
        clearBar()
        show(line + "\n")
        try file?.append(line)
    }

    /// Writes a line to `log.txt` alone: whoever ends the program prints it.
    func note(_ line: String) throws { try file?.append(line) }

    private func show(_ text: String) {
        if isRead { isRead = StandardOutput.write(text, to: STDOUT_FILENO) == 0 }
    }

    /// Redraws the bar, at most ten times a second.
    func progress(_ progress: @autoclosure () -> Progress) {
        guard let terminal, isRead else { return }
        let now = monotonicSeconds()
        guard now - lastBar > 0.1 else { return }
        lastBar = now
        var size = winsize()
        let hasSize = ioctl(terminal, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        show("\r\(progress().bar(width: hasSize ? Int(size.ws_col) : 80))\(Log.clearToEnd)")
        hasBar = true
    }

    /// Takes the bar away; called before anything else is written, by whomever.
    func clearBar() {
        guard hasBar else { return }
        show("\r\(Log.clearToEnd)")
        hasBar = false
    }

    /// ECMA-48, 8.3.41: erases the line from the cursor on.
    private static let clearToEnd = "\u{1B}[K"
}

/// How far a training is.
struct Progress {
    let step: Int
    let steps: Int
    /// Epoch 3 of 20: "3/20"; empty to leave it out.
    var epoch = ""
    /// Those of the last log line; empty to leave them out.
    var losses = ""
    let imagesPerSecond: Double
    let secondsLeft: Double

    /// One line of a terminal: a bar and words. Where it is narrow, the bar and then words are left out, and what remains is cut.
    func bar(width: Int) -> String {
        let percent = "\(100 * step / max(1, steps)) %"
        let (rate, left) = ("\(imagesPerSecond.grouped) images/s", "\(clock(secondsLeft)) left")
        let epoch = epoch.isEmpty ? "" : "epoch \(epoch)"
        let choices = [[epoch, losses, rate], [epoch, losses], [losses], [epoch, rate], [rate], [epoch], []]
        let texts = choices.map { words in ([percent] + words.filter { !$0.isEmpty } + [left]).joined(separator: ", ") }
        // The last column stays free: some terminals begin a new line after it.
        guard let text = texts.first(where: { $0.count < width }) else { return String(texts[6].prefix(max(0, width - 1))) }
        let room = min(30, width - text.count - 4)
        guard text == texts[0], room >= 8 else { return text }
        let filled = room * step / max(1, steps)
        return "[" + String(repeating: "=", count: filled) + String(repeating: " ", count: room - filled) + "] " + text
    }
}

/// Minutes and seconds, 3:07, or with hours 1:03:07.
private func clock(_ seconds: Double) -> String {
    let total = Int(min(max(0, seconds.isFinite ? seconds : 0), 1e9))
    let (hours, minutes, rest) = (total / 3_600, total / 60 % 60, (total % 60).padded(to: 2))
    return hours > 0 ? "\(hours):\(minutes.padded(to: 2)):\(rest)" : "\(minutes):\(rest)"
}

/// A length of time in words: `12 s`, `4 min 2 s`, `3 h 5 min`.
func duration(_ seconds: Double) -> String {
    let total = Int(min(max(0, seconds.rounded()), 1e9))
    return total < 60 ? "\(total) s" : total < 3_600 ? "\(total / 60) min \(total % 60) s" : "\(total / 3_600) h \(total / 60 % 60) min"
}

extension Double {
    /// With so many digits after the point, and none of the locale's habits.
    public func fixed(_ digits: Int) -> String { String(format: "%.\(digits)f", self) }

    /// Like `fixed`, but large numbers by their first digits and the power of ten.
    func readable(_ digits: Int) -> String { magnitude < 1e6 ? fixed(digits) : String(format: "%.\(digits)g", self) }

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

extension Int {
    /// With leading zeros.
    func padded(to width: Int) -> String {
        let digits = String(self)
        return String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
    }
}
