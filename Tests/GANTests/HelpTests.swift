import MessagePassing
import Testing

@testable import GAN

/// What the help shows, and what is suggested for names that do not exist.
@Suite struct HelpTests {
    @Test func everyOptionIsInOneGroup() {
        let grouped = FieldGroup.allCases.flatMap { $0.fields.map(\.key) }
        #expect(grouped == Configuration.optionFields.map(\.key))
        #expect(FieldGroup.allCases.allSatisfy { !$0.fields.isEmpty })
    }

    @Test func settingsOfAPreset() throws {
        let settings = try Preset.named("wgan").settings()
        #expect(settings["loss"] == "wasserstein" && settings["critic_steps"] == "2" && settings["weight_clip"] == "0.05")
    }

    @Test(
        arguments: [
            ("mpl", "mlp"), ("dcgan82", "dcgan28"), ("lsgna", "lsgan"), ("cyclegan82", "cyclegan28"), ("wgangp", "wgan-gp"), ("MLP", nil),
            ("stylegan2", nil), ("", nil),
        ] as [(String, String?)])
    func misspeltPreset(name: String, meant: String?) {
        #expect(nearestName(to: name, among: Preset.names) == meant)
        let error = #expect(throws: Failure.self) { try Preset.named(name) }
        #expect(error?.description.hasSuffix(meant.map { "; did you mean \($0)?" } ?? Preset.names[Preset.names.count - 1]) == true)
    }
}
