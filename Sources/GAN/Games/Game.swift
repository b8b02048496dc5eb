import Kernels
import MessagePassing
import Networks

/// What players play with each other: their networks, and one step that updates them all.
///
/// Everything around a step (initial weights, checkpoint, resume, hash, dump, the origin of a number that is not finite, log
/// line, trace) asks a game for its players and what they have computed, and knows nothing else of it.
protocol Game: AnyObject {
    var context: StepContext { get }
    /// In the order of hashes and checkpoints. Player 0 must be updated exactly once in a step, after all others.
    var players: [Player] { get }
    var records: StepRecords { get }
    /// What it remembers besides its players, in a checkpoint's order.
    var memories: [ShardMemory] { get }

    /// Step number t, from 0. An update may still be under way when it returns; `settle` finishes it.
    /// - Throws: `NonFiniteGradient`.
    func step(_ t: Int) throws
    /// Finishes what the last step has left under way.
    /// - Throws: `NonFiniteGradient`.
    func settle() throws

    /// What the gradients of a player were made of in the last step, in the order of computation.
    func stages(of player: Player) -> [Stage]
    /// What a log line and `stats.jsonl` tell of a step.
    func report(_ means: BatchMeans) -> StepReport
    /// Adds all that was random in a player's update, by its number from 0, and the data that it saw. Every rank calls it when
    /// the update is everywhere.
    func addInputs(ofUpdate update: Int, of player: Player, to dump: Dump) throws
    /// What rank 0 looks at and shows beside the losses; every rank asks for one.
    func makeObserver(_ data: RunData, run: RunDirectory?, firstStep: Int) throws -> any GameObserver
}

extension Game {
    var memories: [ShardMemory] { [] }

    /// Steps, and tells where a number came from that is not finite.
    /// - Parameter requests: what signals ask of this rank.
    /// - Throws: a failure on all ranks, naming the tensor, where a gradient is infinite or NaN; nothing is written then.
    func run(_ t: Int, requests: Int) throws {
        context.world.stopwatch.lap(.other)
        records.requests = requests
        try diagnosed { try step(t) }
    }

    /// Finishes what the last step has left under way.
    func settled() throws { try diagnosed { try settle() } }
}

/// What is told of a step: words for a log line, and fields of `stats.jsonl` in their order.
struct StepReport {
    let line: String
    let fields: [(key: String, value: Double)]
}

/// The images of a run.
struct RunData {
    let training: Dataset
    /// Those of domain B, where there are two domains and `training` is A.
    var second: Dataset?
    /// Images that a classifier is not trained with; nil where none are asked for.
    var heldOut: Dataset?
    /// What measures a generator's pictures; nil where they are not measured.
    var evaluator: Evaluator?
    /// What measures translations; nil where they are not measured.
    var translationEvaluator: TranslationEvaluator?

    init(training: Dataset) { self.training = training }

    /// Made-up data of a configuration's game, for benchmarks and tests.
    init(synthetic count: Int, for configuration: Configuration) {
        training = Dataset(synthetic: count, for: configuration)
        if configuration.game == .cyclegan { second = Dataset(synthetic: count, for: configuration.second) }
    }

    /// Images of an epoch: of two domains those of the larger one.
    var count: Int { max(training.count, second?.count ?? 0) }
}

/// What shows how a game goes, beside the losses: pictures, and what follows from them.
protocol GameObserver: AnyObject {
    /// What a checkpoint remembers of it: metadata, and tensors behind all others.
    func memory() throws -> (metadata: [String: String], tensors: [(name: String, shape: [Int], values: [Float])])
    func restore(from checkpoint: Checkpoint) throws

    /// Looks at the players after a step that has a log line, on rank 0: JSON fields and warnings.
    func look(after done: Int, _ means: BatchMeans) throws -> (fields: String, warnings: [String])
    /// Writes pictures of the state after some steps, 0 before the first; every rank calls it, rank 0 writes.
    func writePictures(after done: Int) throws
    /// The file of pictures of a step, if there is one.
    func pictures(after done: Int) -> String?
    /// Measures the players; every rank calls it, and all get the same. Nil where there is nothing to measure with.
    func evaluate(after done: Int) throws -> Evaluation?
    /// What is wrong with what was learned, if anything.
    var verdict: String? { get }
    /// What a user may do with a checkpoint, as a sentence that ends with a command.
    func nextCommand(checkpoint: String) -> String
}

extension Configuration {
    /// Builds the game on this rank; every rank calls it.
    func makeGame(
        _ data: RunData, layout: ShardLayout, world: World, kernels: Kernels, reduction: Reducer.Algorithm,
        overlaps: Bool = true
    ) throws -> any Game {
        let dataset = data.training
        let context = StepContext(
            self, images: data.count, layout: layout, world: world, kernels: kernels, reduction: reduction, overlaps: overlaps)
        return switch game {
        case .gan: try AdversarialGame(dataset, context)
        case .classifier: try ClassifierGame(dataset, context)
        case .cyclegan: try CycleGame(data, context)
        }
    }

    /// What it says of the game's players, in their order.
    func playerPlans() throws -> [PlayerPlan] {
        switch game {
        case .gan: try adversarialPlayers()
        case .classifier: try classifierPlayers()
        case .cyclegan: try cyclePlayers()
        }
    }
}
