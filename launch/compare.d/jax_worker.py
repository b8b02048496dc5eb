"""JAX's training step: jit over lax.scan, fp32 at the default precision, parameters donated.

Settings:
    steps   of one scan
    unroll  steps that scan puts into one iteration of its loop
    random  JAX's generator: threefry2x32, the default, or rbg, XLA's own
    lean    the discriminator judges real and fake images in one batch
"""

import functools

import jax
import jax.numpy as jnp

import worker

ELEMENTWISE = {
    "relu": lambda x, layer: jnp.maximum(x, 0),
    "leaky_relu": lambda x, layer: jnp.where(x > 0, x, layer["slope"] * x),
    "tanh": lambda x, layer: jnp.tanh(x),
    "sigmoid": lambda x, layer: jax.nn.sigmoid(x),
}

LOSSES = {
    "bce": lambda x, target: jax.nn.softplus(-x if target else x).mean(),
    "mse": lambda x, target: ((x - target) ** 2).mean(),
}


def initial(layers, key):
    """PyTorch's initial weights: uniform within 1 / sqrt(inputs)."""
    parameters = []
    for layer in (layer for layer in layers if layer["type"] == "linear"):
        key, w, b = jax.random.split(key, 3)
        bound = layer["inputs"] ** -0.5
        weight = jax.random.uniform(w, (layer["inputs"], layer["outputs"]), minval=-bound, maxval=bound)
        bias = jax.random.uniform(b, (layer["outputs"],), minval=-bound, maxval=bound) if layer.get("bias", True) else None
        parameters.append((weight, bias))
    return parameters


def forward(layers, parameters, x, key):
    linears = iter(parameters)
    for number, layer in enumerate(layers):
        if layer["type"] == "linear":
            weight, bias = next(linears)
            x = x @ weight if bias is None else x @ weight + bias
        elif layer["type"] == "reshape":
            continue  # all are of features only
        elif layer["type"] == "dropout":
            kept = 1 - layer["probability"]
            x = jnp.where(jax.random.bernoulli(jax.random.fold_in(key, number), kept, x.shape), x / kept, 0)
        else:
            x = ELEMENTWISE[layer["type"]](x, layer)
    return x


def training(configuration, setting):
    """A function of (state, images, rows [steps, batch]): the state after those steps, and the last one's losses."""
    batch, latent = configuration["batch_size"], configuration["latent_dim"]
    loss, fresh = LOSSES[configuration["loss"]], configuration["generator_step"] == "fresh"
    beta1, beta2 = configuration["beta1"], configuration["beta2"]

    def generate(parameters, key):
        return forward(configuration["generator"], parameters, jax.random.normal(key, (batch, latent)), None)

    def judge(parameters, x, key):
        return forward(configuration["discriminator"], parameters, x, key)

    def discriminator_loss(parameters, real, fake, key):
        if setting["lean"]:
            real, fake = jnp.split(judge(parameters, jnp.concatenate([real, fake]), key), 2)
        else:
            keys = jax.random.split(key)
            real, fake = judge(parameters, real, keys[0]), judge(parameters, fake, keys[1])
        return loss(real, 1) + loss(fake, 0)

    def adam(gradients, parameters, moments, t):
        step = configuration["lr"] / (1 - beta1 ** t)
        correction = jax.lax.rsqrt(1 - beta2 ** t)
        first = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, moments[0], gradients)
        second = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, moments[1], gradients)
        parameters = jax.tree.map(lambda p, m, v: p - step * m / (jnp.sqrt(v) * correction + configuration["epsilon"]),
                                  parameters, first, second)
        return parameters, (first, second)

    def step(images, state, rows):
        generator, discriminator, generator_moments, discriminator_moments, t, key = state
        key, z1, z2, dropout1, dropout2 = jax.random.split(key, 5)
        t = t + 1
        # Of the same noise where the fakes are scored again: XLA computes them once.
        z2 = z2 if fresh else z1
        fake = generate(generator, z1)
        d_loss, gradients = jax.value_and_grad(discriminator_loss)(discriminator, images[rows], fake, dropout1)
        discriminator, discriminator_moments = adam(gradients, discriminator, discriminator_moments, t)
        g_loss, gradients = jax.value_and_grad(
            lambda parameters: loss(judge(discriminator, generate(parameters, z2), dropout2), 1))(generator)
        generator, generator_moments = adam(gradients, generator, generator_moments, t)
        return (generator, discriminator, generator_moments, discriminator_moments, t, key), (d_loss, g_loss)

    def steps(state, images, rows):
        state, losses = jax.lax.scan(functools.partial(step, images), state, rows, unroll=setting["unroll"])
        return state, jax.tree.map(lambda values: values[-1], losses)

    return jax.jit(steps, donate_argnums=0)


def main():
    task = worker.task()
    configuration, setting = task["configuration"], task["setting"]
    jax.config.update("jax_default_prng_impl", setting["random"])
    images = worker.load_images(task["images"])
    images = images.reshape(len(images), -1)
    rows = worker.Rows(len(images), configuration["batch_size"], 0)
    images = jnp.asarray(images)
    keys = jax.random.split(jax.random.key(0), 3)
    networks = initial(configuration["generator"], keys[0]), initial(configuration["discriminator"], keys[1])
    zeros = [jax.tree.map(jnp.zeros_like, (network, network)) for network in networks]
    state = (*networks, *zeros, jnp.float32(0), keys[2])
    run = training(configuration, setting)

    def train(steps):
        nonlocal state
        scans = -(-steps // setting["steps"])
        for _ in range(scans):
            state, losses = run(state, images, rows.take(setting["steps"]))
        return scans * setting["steps"], *map(float, losses)

    counts = [sum(leaf.size for leaf in jax.tree.leaves(network)) for network in networks]
    worker.serve(train, configuration["batch_size"], lambda: dict(parameters=counts, version=jax.__version__))


if __name__ == "__main__":
    main()
