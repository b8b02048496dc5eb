import MessagePassing
import Testing

@testable import GAN

/// What the help shows, and what is suggested for names that do not exist.
@Suite struct HelpTests {
    @Test func everyOptionIsInOneGroup() {
        let grouped = FieldGroup.allCases.flatMap { $0.fields.map(\.key) }
        #expect(grouped == Configuration.declared.map(\.field).filter { $0.flag != nil }.map(\.key))
        #expect(FieldGroup.allCases.allSatisfy { !$0.fields.isEmpty })
    }

    @Test(
        arguments: [
            ("wgan", "loss", "wgan: wasserstein"), ("wgan", "weight_clip", "wgan: 0.05"), ("wgan", "gradient_penalty", "wgan: 0"),
            ("wgan", "ema_ramp", "wgan: on"), ("wgan", "cycle_weight", "not for wgan"), ("wgan", "steps", nil),
            ("wgan", "image_size", nil), ("dcgan", "image_size", "dcgan: 64"), ("cyclegan28", "pool_size", "cyclegan28: 64"),
            ("cyclegan28", "channels_b", nil), ("cyclegan", "lr_decay", "cyclegan: 100e"), ("classifier28", "loss", "not for classifier28"),
        ] as [(String, String, String?)])
    func noteOfAField(preset: String, field: String, note: String?) throws {
        #expect(try Preset.named(preset).helpNotes()[field] == note)
    }

    @Test(arguments: Preset.names) func notesOfAPreset(name: String) throws {
        let notes = try Preset.named(name).helpNotes()
        #expect(notes["epochs"]?.hasPrefix("\(name): ") == true)
        #expect(!notes.values.contains("\(name): none"))
    }

    @Test(
        arguments: [
            ("mpl", "mlp"), ("dcgan82", "dcgan28"), ("lsgna", "lsgan"), ("cyclegan82", "cyclegan28"), ("wgangp", "wgan-gp"), ("MLP", "mlp"),
            ("stylegan2", nil), ("", nil),
        ] as [(String, String?)])
    func misspeltPreset(name: String, meant: String?) {
        #expect(nearestName(to: name, among: Preset.names) == meant)
        let error = #expect(throws: Failure.self) { try Preset.named(name) }
        #expect(error?.description.hasSuffix(meant.map { "; did you mean \($0)?" } ?? Preset.names[Preset.names.count - 1]) == true)
    }
}
