import Testing

@testable import GAN

/// What a terminal shows, and what a user is told to type.
@Suite struct LogTests {
    @Test(arguments: 0...120) func progressBarFitsOneLine(width: Int) {
        for (step, rate, left) in [(0, 0.0, Double.infinity), (104, 31_200, 61), (1_874, 1_234_567, 12_345)] {
            let bar = progressBar(step: step, of: 1_874, imagesPerSecond: rate, secondsLeft: left, width: width)
            #expect(bar.count < max(1, width), "\"\(bar)\"")
        }
    }

    @Test func progressBarLeavesOutWhatIsLessImportant() {
        func bar(_ width: Int) -> String {
            progressBar(step: 937, of: 1_874, imagesPerSecond: 31_200, secondsLeft: 187, width: width)
        }
        let full = "[" + String(repeating: "=", count: 15) + String(repeating: " ", count: 15) + "] 50 %, 31,200 images/s, 3:07 left"
        #expect(bar(80) == full)
        #expect(bar(34) == "50 %, 31,200 images/s, 3:07 left")
        #expect(bar(30) == "50 %, 3:07 left")
        #expect(bar(5) == "50 %")
    }

    @Test(arguments: [(0.2, "0 s"), (59.4, "59 s"), (242, "4 min 2 s"), (11_100, "3 h 5 min")])
    func durations(seconds: Double, text: String) { #expect(duration(seconds) == text) }

    @Test(
        arguments: [
            (["train", "--preset", "mlp"], "--preset mlp --resume latest"), (["--resume", "auto", "--keep", "2"], "--keep 2 --resume latest"),
            (["--resume=a file", "--lr=1e-3"], "--lr=1e-3 --resume latest"),
            (["--init-from", "--resume", "--keep", "2", "--init-from=x"], "--keep 2 --resume latest"), (["--resume"], "--resume latest"),
            (["--data", "my data", "--outdir", "it's"], "--data 'my data' --outdir 'it'\\''s' --resume latest"),
            (["--data", "$HOME", "--outdir", "~/x", "--trace", ""], "--data '$HOME' --outdir '~/x' --trace '' --resume latest"),
        ] as [([String], String)])
    func commandToGoOn(arguments: [String], options: String) {
        #expect(ResumeRequest.command("mpirun -np 2 gan-dist", arguments) == "mpirun -np 2 gan-dist \(options)")
    }
}
