import GAN
import Networks

let launch = Launch()
launch.finish {
    var configuration = try Preset.named("mlp").configuration(for: .mnist)
    configuration.steps = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) : 1_000
    for layer in [1, 3] { configuration.discriminator[layer] = LayerSpecification(PReLUDescription()) }
    try LayerSpecification.withTypes([PReLUDescription()]) {
        try launch.run { try train(ConfigurationRequest(configuration), RunOptions(), resume: nil, communicator: $0) }
    }
}
