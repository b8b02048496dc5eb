"""Which networks a configuration has, and how many numbers they hold."""

NETWORKS = {"gan": ["generator", "discriminator"],
            "cyclegan": ["generator_ab", "generator_ba", "discriminator_a", "discriminator_b"]}


def game(plan):
    return plan.get("game", "gan")


def networks(plan):
    """(name, layers) of each."""
    return [(name, plan[name]) for name in NETWORKS[game(plan)]]


def layers(plan):
    """Those of all networks, without what is in residual blocks."""
    return [layer for _, network in networks(plan) for layer in network]


def is_convolutional(plan):
    return any(layer["type"].startswith("conv") for layer in layers(plan))


def parameters(network):
    def count(layer):
        inputs, outputs = layer.get("inputs"), layer.get("outputs")
        if layer["type"] == "linear":
            return (inputs + layer["bias"]) * outputs
        if layer["type"].startswith("conv"):
            return inputs * outputs * layer["kernel"] ** 2 + layer["bias"] * outputs
        if layer["type"] == "residual":
            return parameters(layer["layers"])
        has_weights = layer["type"] == "batch_norm" or layer["type"] == "instance_norm" and layer.get("affine")
        return 2 * layer["channels"] if has_weights else 0

    return sum(map(count, network))
