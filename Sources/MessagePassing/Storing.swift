import Dispatch
import Glibc

extension World {
    /// Runs `body`, which reads or writes files, on a thread of its own, while this rank goes on answering the others: a call
    /// that the system has not answered is not a hang of ours. Once in each `limit` seconds it says what it waits for.
    ///
    /// - Parameters:
    ///   - doing: what the body does, as in "writing a checkpoint".
    ///   - reason: why it may take long.
    ///   - body: must not talk to other ranks, and should do little but calls of the system.
    @discardableResult
    public func storing<Result, Problem: Error>(
        _ doing: String, because reason: String = "the system has not answered", _ body: () throws(Problem) -> Result
    ) throws(Problem) -> Result {
        // Inside another such call there is somebody who answers; alone and without a limit nobody asks.
        guard errand == nil, communicator.size > 1 || limit > 0 else { return try body() }
        errand = doing
        watchdog.isStoring = true
        defer {
            errand = nil
            watchdog.isStoring = false
        }
        var outcome: Swift.Result<Result, Problem>?
        let isDone = DispatchSemaphore(value: 0)
        withoutActuallyEscaping(body) { body in
            withUnsafeMutablePointer(to: &outcome) { outcome in
                let work = Work {
                    do throws(Problem) {
                        outcome.pointee = .success(try body())
                    } catch {
                        outcome.pointee = .failure(error)
                    }
                    isDone.signal()
                }
                var thread = pthread_t()
                withExtendedLifetime(work) {
                    let started = pthread_create(
                        &thread, nil,
                        { pointer in
                            if let pointer { Unmanaged<Work>.fromOpaque(pointer).takeUnretainedValue().run() }
                            return nil
                        }, Unmanaged.passUnretained(work).toOpaque())
                    if started == 0 {
                        answer(until: isDone, doing, reason)
                        pthread_join(thread, nil)
                    } else {
                        work.run()
                    }
                }
            }
        }
        guard let outcome else { preconditionFailure("\(doing) has no outcome") }
        return try outcome.get()
    }

    private func answer(until isDone: DispatchSemaphore, _ doing: String, _ usualReason: String) {
        var start = monotonicSeconds()
        var lastLook = start
        var nextWarning = limit
        while isDone.wait(timeout: .now() + .milliseconds(2)) == .timedOut {
            // What goes wrong with a message shows in the next wait.
            if communicator.size > 1 { try? watchdog.answer() }
            let now = monotonicSeconds()
            // A rank that was itself stopped, and goes on, has not waited all that time.
            if now - lastLook > limit / 2 { (start, nextWarning) = (now, limit) }
            lastLook = now
            let seconds = now - start
            guard limit > 0, seconds > nextWarning else { continue }
            nextWarning = seconds + limit
            let launcher = watchdog.launcher
            let reason = launcher.isStopped ? "\(launcher.description) is stopped" : usualReason
            let who = "rank \(communicator.rank) (\(places[communicator.rank]))"
            warn("\(who) has been \(doing) for \(Int(seconds)) s: \(reason); waiting")
        }
    }
}

/// What a thread is to run. Its maker waits for the end.
private final class Work: @unchecked Sendable {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
}

/// Writes a warning where it can be written at once: who reads standard error may be what is slow.
func warnOnStandardError(_ text: String) {
    var descriptor = pollfd(fd: 2, events: Int16(POLLOUT), revents: 0)
    guard poll(&descriptor, 1, 0) == 1, descriptor.revents & Int16(POLLOUT) != 0 else { return }
    var line = Array("gan-dist: Warning: \(text)\n".utf8)
    _ = write(2, &line, line.count)
}
