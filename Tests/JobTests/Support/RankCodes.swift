import Foundation

extension Runs {
    /// Runs ranks under mpirun and looks at the exit code of each, which mpirun itself does not tell. The outcome's code
    /// is that of all ranks; −1 where they differ or a rank was killed.
    func trainEachToItsEnd(ranks: Int, _ more: [String]) throws -> Job.Outcome {
        let folder = try Scratch.makeFolder()
        // mpirun must not end a rank because another one has ended first.
        let outcome = try Job.run(
            [
                "mpirun", "--mca", "orte_abort_on_non_zero_status", "0", "-np", "\(ranks)", "sh", "-c",
                "\"$0\" \"$@\"; echo $? > \(folder)/$OMPI_COMM_WORLD_RANK", Program.path,
            ] + arguments(more))
        let codes = (0..<ranks).map { rank in
            (try? readText("\(folder)/\(rank)")).flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        }
        let common = Set(codes).count == 1 ? codes[0] : nil
        return Job.Outcome(
            code: common ?? -1, output: outcome.output, errors: outcome.errors + "codes by rank: \(codes)",
            seconds: outcome.seconds)
    }
}
